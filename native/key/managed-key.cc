#include "managed-key.h"

namespace assayer {

namespace {

struct Keys {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<ManagedKey>> byIdentifier;
};

/// Never destroyed: threads may still sign while the process ends.
Keys& keys() {
  static Keys* all = new Keys();
  return *all;
}

}  // namespace

Bytes ManagedKey::Sign(Bytes digest, std::string hash, std::string scheme, int saltLength) {
  SignatureOutcome outcome =
      signer_->Sign({identifier_, std::move(digest), std::move(hash), std::move(scheme), saltLength}, deadline_);
  Fail(outcome.signature.empty() && outcome.failure.empty() ? "the key manager gave an empty signature" : outcome.failure);
  return std::move(outcome.signature);
}

std::string ManagedKey::LastFailure() {
  std::lock_guard lock(mutex_);
  return lastFailure_;
}

void ManagedKey::Fail(std::string failure) {
  std::lock_guard lock(mutex_);
  lastFailure_ = std::move(failure);
}

bool ManagedKey::Register(std::shared_ptr<ManagedKey> key) {
  std::lock_guard lock(keys().mutex);
  return keys().byIdentifier.emplace(key->identifier(), key).second;
}

std::shared_ptr<ManagedKey> ManagedKey::Find(const std::string& identifier) {
  std::lock_guard lock(keys().mutex);
  auto found = keys().byIdentifier.find(identifier);
  return found == keys().byIdentifier.end() ? nullptr : found->second;
}

void ManagedKey::Unregister(const std::string& identifier) {
  std::lock_guard lock(keys().mutex);
  keys().byIdentifier.erase(identifier);
}

}  // namespace assayer
