// SPDX-License-Identifier: Apache-2.0
// Evaluation keys in memory: expanded from their bytes, ready to compute with, the most recently used ones kept.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/key_store.h"
#include "server/model_registry.h"

namespace tacit::server {

// Those of the plan's keys that the set does not have, or has at too low a level, in another shape or for other primes.
std::vector<ckks::KeyRequest> missing_keys(const runtime::Model& model, const KeySet& set);

// What a tenant's keys for a model are called in memory, and so predictions that share them; and which set that is, nothing where
// the text is no such name.
std::string key_group(std::string_view tenant, const Digest& set, const ServedModel& model);
std::optional<Digest> key_set_of(std::string_view group);

class KeyCache {
 public:
  using Keys = std::shared_ptr<const ckks::EvaluationKeys>;

  // Keeps at most `capacity` bytes, and the set used last in any case. Keys in use live until their last user is done.
  // The random halves of a set that would not fit whole are kept as seeds: half the memory, and more time for each use.
  explicit KeyCache(std::uint64_t capacity) : capacity_(capacity) {}

  struct Loaded {
    Keys keys;
    bool was_cached = false;
  };
  // The tenant's keys of `set` that the model's plan needs. Reading and expanding them takes all cores of the caller's arena and
  // up to seconds, so it is not for network threads. `go_on` is asked before each key that is read, from several threads at once; where
  // it is false the answer is kCancelled. The set must lack none (missing_keys).
  Result<Loaded> get(
      const ServedModel& model, KeyStore& store, std::string_view tenant, const KeySet& set,
      const std::function<bool()>& go_on = [] { return true; });

  // The tenant has deleted the set: its keys go as soon as nobody uses them.
  void forget(std::string_view tenant, const Digest& set);

  // Whose keys are there, and of which sets; one for several models comes several times.
  std::vector<std::pair<std::string, Digest>> resident_sets() const;
  std::uint64_t resident_bytes() const;
  std::uint64_t capacity() const { return capacity_; }
  // How often keys were there, and how often they had to be read.
  std::uint64_t hits() const { return hits_; }
  std::uint64_t misses() const { return misses_; }

 private:
  struct Entry {
    std::string name;  // key_group
    Keys keys;
    std::uint64_t bytes = 0;
  };
  Keys find(const std::string& name);
  // Held by whoever reads these keys: others wait for them instead of reading them as well.
  std::shared_ptr<std::mutex> gate_of(const std::string& name);
  void make_room(std::uint64_t bytes);
  void insert(Entry entry);

  const std::uint64_t capacity_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the most recently used first
  std::uint64_t resident_ = 0;
  std::map<std::string, std::weak_ptr<std::mutex>> gates_;
  std::atomic<std::uint64_t> hits_ = 0, misses_ = 0;
};

}  // namespace tacit::server
