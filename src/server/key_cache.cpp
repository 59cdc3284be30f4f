// SPDX-License-Identifier: Apache-2.0
#include "server/key_cache.h"

#include <algorithm>
#include <optional>

#include "base/parallel.h"

namespace tacit::server {
namespace {

bool serves(const ckks::KeyRequest& have, const ckks::KeyRequest& need) {
  return have.element == need.element && have.shape.level >= need.shape.level &&
         have.shape.digit_size == need.shape.digit_size &&
         have.shape.special_count == need.shape.special_count;
}

// For each key of the plan the piece of the set that serves it, or null.
std::vector<const Piece*> assign(const runtime::Model& model, const KeySet& set) {
  std::map<std::uint32_t, const Piece*> by_element;
  for (const Piece& piece : set.pieces)
    if (fits(model.parameters(), piece.header)) by_element[piece.header.request.element] = &piece;
  std::vector<const Piece*> assigned;
  for (const ckks::KeyRequest& need : model.plan().keys) {
    const auto found = by_element.find(need.element);
    const bool there = found != by_element.end() && serves(found->second->header.request, need);
    assigned.push_back(there ? found->second : nullptr);
  }
  return assigned;
}

// Tenants' names have no slash.
std::string group_prefix(std::string_view tenant, const Digest& set) {
  return std::string(tenant) + "/" + to_hex(set) + "/";
}

Error missing_key(const ckks::KeyRequest& need) {
  return {ErrorCode::kKeyMissing, "the key set has no evaluation key for Galois element " +
                                      std::to_string(need.element) + " at level " +
                                      std::to_string(need.shape.level)};
}

}  // namespace

std::string key_group(std::string_view tenant, const Digest& set, const ServedModel& model) {
  return group_prefix(tenant, set) + model.etag;
}

std::optional<Digest> key_set_of(std::string_view group) {
  const std::size_t slash = group.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto set = digest_from_hex(group.substr(slash + 1, 2 * Digest().size()));
  return set.ok() ? std::optional(*set) : std::nullopt;
}

std::vector<ckks::KeyRequest> missing_keys(const runtime::Model& model, const KeySet& set) {
  const auto assigned = assign(model, set);
  std::vector<ckks::KeyRequest> missing;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    if (assigned[i] == nullptr) missing.push_back(model.plan().keys[i]);
  }
  return missing;
}

Result<KeyCache::Loaded> KeyCache::get(const ServedModel& served, KeyStore& store, std::string_view tenant,
                                       const KeySet& set, const std::function<bool()>& go_on) {
  const runtime::Model& model = *served.model;
  const std::string name = key_group(tenant, set.id, served);
  const std::shared_ptr<std::mutex> gate = gate_of(name);
  const std::lock_guard one_at_a_time(*gate);
  if (Keys keys = find(name)) {
    ++hits_;
    return Loaded{std::move(keys), true};
  }
  ++misses_;

  const auto pieces = assign(model, set);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i] == nullptr) return missing_key(model.plan().keys[i]);
  }
  auto memory_bytes = [&](ckks::KeyForm form) {
    std::uint64_t bytes = 0;
    for (const Piece* piece : pieces)
      bytes += ckks::key_memory_bytes(model.parameters(), piece->header.request.shape, form);
    return bytes;
  };
  const bool fit = memory_bytes(ckks::KeyForm::kWhole) <= capacity_;
  const ckks::KeyForm form = fit ? ckks::KeyForm::kWhole : ckks::KeyForm::kSeeded;
  make_room(memory_bytes(form));

  std::vector<std::optional<Result<ckks::SwitchingKey>>> read(pieces.size());
  parallel_for(pieces.size(), [&](std::size_t i) {
    if (!go_on()) {
      read[i] = Error{ErrorCode::kCancelled, "the run was cancelled"};
      return;
    }
    auto wire = store.read_piece(tenant, *pieces[i]);
    read[i] = wire.ok() ? ckks::read_key(model.parameters(), *wire, form)
                        : Result<ckks::SwitchingKey>(std::move(wire).error());
  });
  auto keys = std::make_shared<ckks::EvaluationKeys>();
  for (auto& key : read) {
    if (!key->ok()) return std::move(*key).error();
    keys->insert(std::move(*key).value());
  }
  insert({name, keys, keys->memory_bytes()});
  return Loaded{std::move(keys), false};
}

KeyCache::Keys KeyCache::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto entry = std::ranges::find(entries_, name, &Entry::name);
  if (entry == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, entry);
  return entries_.front().keys;
}

std::shared_ptr<std::mutex> KeyCache::gate_of(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::erase_if(gates_, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<std::mutex> gate = gates_[name].lock();
  if (!gate) gates_[name] = gate = std::make_shared<std::mutex>();
  return gate;
}

void KeyCache::make_room(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && (bytes > capacity_ || resident_ > capacity_ - bytes)) {
    resident_ -= entries_.back().bytes;
    entries_.pop_back();
  }
}

// Only by whoever holds the gate and has not found it.
void KeyCache::insert(Entry entry) {
  make_room(entry.bytes);
  const std::lock_guard lock(mutex_);
  entries_.push_front(std::move(entry));
  resident_ += entries_.front().bytes;
}

void KeyCache::forget(std::string_view tenant, const Digest& set) {
  const std::string prefix = group_prefix(tenant, set);
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) {
    if (!entry.name.starts_with(prefix)) return false;
    resident_ -= entry.bytes;
    return true;
  });
}

std::vector<std::pair<std::string, Digest>> KeyCache::resident_sets() const {
  std::vector<std::pair<std::string, Digest>> sets;
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_)
    if (const auto set = key_set_of(entry.name))
      sets.emplace_back(entry.name.substr(0, entry.name.find('/')), *set);
  return sets;
}

std::uint64_t KeyCache::resident_bytes() const {
  const std::lock_guard lock(mutex_);
  return resident_;
}

}  // namespace tacit::server
