// SPDX-License-Identifier: Apache-2.0
// The ledger of keys against a model of it in plain maps: any sequence of calls answers the same.
//
// Input: operations one after the other, of few pieces, sets and tenants.
#include <algorithm>
#include <set>

#include "server/state/state.h"
#include "server/temporary_folder.h"
#include "support/ckks_fixture.h"
#include "target.h"

namespace tacit::fuzz {
namespace {

using namespace server;

constexpr std::size_t kNames = 4;

Digest name_of(std::size_t number) { return blake2b(as_bytes(std::to_string(number))); }

Bytes header() {
  static const Bytes bytes = [] {
    const ckks::Parameters parameters = test::make_parameters(12, 26, 22, 1, 28, 1);
    test::Scheme scheme(parameters);
    Bytes key = ckks::write_key(parameters, test::unwrap(scheme.holder.make_key({5, {0, 1, 1}})));
    key.resize(test::kHeaderBytes);
    return key;
  }();
  return bytes;
}

struct Model {
  struct Piece {
    std::uint64_t bytes = 0;
    Time created = 0;
  };
  struct Set {
    std::set<Digest> pieces;
    Time created = 0, used = 0;
  };
  std::map<Digest, Piece> pieces;
  std::map<Digest, Set> sets;
  std::map<Digest, std::map<std::uint32_t, Part>> parts;
  std::map<Time, std::uint64_t> inferences;  // by slice

  bool in_a_set(const Digest& piece) const {
    return std::ranges::any_of(sets, [&](const auto& set) { return set.second.pieces.contains(piece); });
  }
};

class LedgerRun {
 public:
  LedgerRun(Input& in, Ledger& ledger, std::uint64_t number) : in_(in), ledger_(ledger) {
    for (std::size_t i = 0; i < kTenants; ++i)
      tenants_[i] = "t" + std::to_string(number) + "-" + std::to_string(i);
  }

  void run() {
    for (std::size_t i = 0; i < kMaxOperations && !in_.empty(); ++i) {
      const std::size_t which = in_.below(kTenants);
      operate(tenants_[which], models_[which]);
      now_ += static_cast<Time>(in_.below(4));
    }
    for (std::size_t i = 0; i < kTenants; ++i) finish(tenants_[i], models_[i]);
    require(test::unwrap(ledger_.pieces()).empty() && test::unwrap(ledger_.unfinished()).empty(),
            "nothing is left");
  }

 private:
  void operate(const std::string& tenant, Model& model) {
    const Digest name = name_of(in_.below(kNames));
    switch (in_.below(12)) {
      case 0: {
        const std::uint64_t bytes = in_.word(4);
        const bool added = test::unwrap(ledger_.add_piece(tenant, name, header(), bytes, now_));
        model.parts.erase(name);
        require(added == model.pieces.try_emplace(name, Model::Piece{bytes, now_}).second,
                "a piece is added once");
        break;
      }
      case 1: {
        const auto found = test::unwrap(ledger_.find_piece(tenant, name));
        const auto expected = model.pieces.find(name);
        require(found.has_value() == (expected != model.pieces.end()) &&
                    (!found || (found->digest == name && found->bytes == expected->second.bytes)),
                "a piece is found");
        break;
      }
      case 2:
        add_set(tenant, model);
        break;
      case 3:
        find_set(tenant, model, in_.below(kNames));
        break;
      case 4:
        remove_set(tenant, model, in_.below(kNames));
        break;
      case 5:
        require(ledger_.forget_piece(tenant, name).ok(), "a piece can be forgotten");
        std::erase_if(model.sets, [&](const auto& set) { return set.second.pieces.contains(name); });
        model.pieces.erase(name);
        break;
      case 6: {
        const bool removed = test::unwrap(ledger_.remove_loose(tenant, name));
        require(removed == (model.pieces.contains(name) && !model.in_a_set(name)),
                "a piece in no set can go");
        if (removed) model.pieces.erase(name);
        break;
      }
      case 7:
        put_part(tenant, model, name);
        break;
      case 8:
        require(ledger_.forget_parts(tenant, name).ok(), "parts can be forgotten");
        model.parts.erase(name);
        break;
      case 9: {
        const Digest set = name_of(100 + in_.below(kNames));
        require(ledger_.touch_set(tenant, set, now_).ok(), "a set can be used");
        if (const auto found = model.sets.find(set); found != model.sets.end())
          found->second.used = std::max(found->second.used, now_);
        break;
      }
      case 10:
        count(tenant, model);
        break;
      default:
        compare(tenant, model);
    }
  }

  void add_set(const std::string& tenant, Model& model) {
    KeySet set;
    set.id = name_of(100 + in_.below(kNames));
    set.created = now_;
    const std::size_t members = in_.byte();
    Model::Set expected{{}, now_, now_};
    for (std::size_t i = 0; i < kNames; ++i) {
      if ((members >> i) % 2 == 0) continue;
      set.pieces.push_back({name_of(i), {}, 0});
      expected.pieces.insert(name_of(i));
    }
    const bool complete = std::ranges::all_of(
        expected.pieces, [&](const Digest& piece) { return model.pieces.contains(piece); });
    const auto added = ledger_.add_set(tenant, set);
    require(accepted(added) == complete, "a set is of pieces that are there");
    if (added.ok()) require(*added == model.sets.try_emplace(set.id, expected).second, "a set is added once");
  }

  void find_set(const std::string& tenant, const Model& model, std::size_t number) {
    const Digest id = name_of(100 + number);
    const auto found = ledger_.find_set(tenant, id);
    const auto expected = model.sets.find(id);
    require(accepted(found) == (expected != model.sets.end()), "a set is found");
    if (!found.ok()) return;
    std::set<Digest> pieces;
    for (const Piece& piece : found->pieces) pieces.insert(piece.digest);
    require(pieces == expected->second.pieces && found->used == expected->second.used &&
                found->created == expected->second.created,
            "a set is what was added");
  }

  void remove_set(const std::string& tenant, Model& model, std::size_t number) {
    const Digest id = name_of(100 + number);
    const auto freed = ledger_.remove_set(tenant, id);
    const auto expected = model.sets.find(id);
    require(accepted(freed) == (expected != model.sets.end()), "a set that is there can go");
    if (!freed.ok()) return;
    const std::set<Digest> members = expected->second.pieces;
    model.sets.erase(expected);
    std::set<Digest> gone;
    for (const Digest& piece : members)
      if (!model.in_a_set(piece)) gone.insert(piece);
    require(std::set<Digest>(freed->begin(), freed->end()) == gone,
            "its pieces go where nobody else has them");
    for (const Digest& piece : gone) model.pieces.erase(piece);
  }

  void put_part(const std::string& tenant, Model& model, const Digest& piece) {
    const Part part{piece, static_cast<std::uint32_t>(in_.below(4)), name_of(in_.below(8)), in_.word(2),
                    1000 + in_.below(2)};
    auto& parts = model.parts[piece];
    const bool fits = std::ranges::all_of(
        parts, [&](const auto& other) { return other.second.piece_bytes == part.piece_bytes; });
    require(accepted(ledger_.put_part(tenant, part, now_)) == fits, "parts are of one piece");
    if (fits) parts[part.number] = part;
    if (parts.empty()) model.parts.erase(piece);
  }

  void count(const std::string& tenant, Model& model) {
    const std::uint64_t limit = 1 + in_.below(20), more = 1 + in_.below(static_cast<std::size_t>(limit));
    now_ += static_cast<Time>(in_.below(256)) * kInferenceSlice / 2;
    std::erase_if(model.inferences,
                  [&](const auto& slice) { return slice.first < (now_ - kDay) / kInferenceSlice; });
    std::uint64_t used = 0;
    for (const auto& [slice, inferences] : model.inferences) used += inferences;
    const auto later = test::unwrap(ledger_.count_inferences(tenant, more, limit, now_));
    require(later.has_value() == (used + more > limit), "predictions are counted");
    if (!later)
      model.inferences[now_ / kInferenceSlice] += more;
    else
      require(*later > now_, "they fit later");
  }

  void compare(const std::string& tenant, const Model& model) {
    const Usage usage = test::unwrap(ledger_.usage(tenant));
    std::uint64_t bytes = 0;
    for (const auto& [digest, piece] : model.pieces) bytes += piece.bytes;
    for (const auto& [piece, parts] : model.parts)
      for (const auto& [number, part] : parts) bytes += part.bytes;
    require(usage.key_bytes == bytes && usage.key_sets == model.sets.size(), "what a tenant uses is the sum");
    const auto sets = test::unwrap(ledger_.sets(tenant));
    require(sets.size() == model.sets.size() && std::ranges::is_sorted(sets, std::greater(), &KeySet::used),
            "the sets are listed, the last used first");
    std::vector<Digest> all, absent;
    for (std::size_t i = 0; i < kNames; ++i) all.push_back(name_of(i));
    std::ranges::copy_if(all, std::back_inserter(absent),
                         [&](const Digest& one) { return !model.pieces.contains(one); });
    require(test::unwrap(ledger_.missing(tenant, all)) == absent, "what is missing is said");
    for (const Digest& piece : all) {
      const auto parts = test::unwrap(ledger_.parts(tenant, piece));
      const auto expected = model.parts.find(piece);
      require(parts.size() == (expected == model.parts.end() ? 0 : expected->second.size()),
              "the parts are listed");
      for (const Part& part : parts)
        require(part.bytes == expected->second.at(part.number).bytes &&
                    part.digest == expected->second.at(part.number).digest,
                "a part is the last one of its number");
    }
    std::size_t loose = 0, found = 0;
    for (const auto& [digest, piece] : model.pieces) loose += piece.created < now_ && !model.in_a_set(digest);
    for (const Ledger::Owned& one : test::unwrap(ledger_.loose_pieces(now_))) found += one.tenant == tenant;
    require(loose == found, "pieces in no set are found");
  }

  void finish(const std::string& tenant, Model& model) {
    compare(tenant, model);
    for (std::size_t i = 0; i < kNames; ++i) remove_set(tenant, model, i);
    for (std::size_t i = 0; i < kNames; ++i)
      require(ledger_.forget_piece(tenant, name_of(i)).ok() && ledger_.forget_parts(tenant, name_of(i)).ok(),
              "all can go");
    require(test::unwrap(ledger_.sets(tenant)).empty() && test::unwrap(ledger_.usage(tenant)).key_bytes == 0,
            "nothing is left");
  }

  Input& in_;
  Ledger& ledger_;
  std::string tenants_[kTenants];
  Model models_[kTenants];
  Time now_ = 2 * kDay;
};

TACIT_FUZZ_TARGET(ledger) {
  static const TemporaryFolder kFolder;
  static const auto kState = test::unwrap(State::open(kFolder.path() / "state"));
  static std::uint64_t number = 0;
  Input in(input);
  LedgerRun(in, kState->ledger(), number++).run();
}

}  // namespace
}  // namespace tacit::fuzz
