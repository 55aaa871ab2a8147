#pragma once

#include <memory>
#include <string>

#include "openssl-handles.h"
#include "signing-thread.h"

namespace assayer {

/// A private key that a key manager holds: its public half, and the thread to ask for signatures.
class ManagedKey {
 public:
  ManagedKey(std::string identifier, Bytes publicKey, std::shared_ptr<SigningThread> signer, std::chrono::milliseconds deadline)
      : identifier_(std::move(identifier)), publicKey_(std::move(publicKey)), signer_(std::move(signer)), deadline_(deadline) {}

  /// SubjectPublicKeyInfo, DER.
  const Bytes& publicKey() const { return publicKey_; }
  const std::string& identifier() const { return identifier_; }

  /// Blocks; an empty result is a failure, which LastFailure then tells.
  Bytes Sign(Bytes digest, std::string hash, std::string scheme, int saltLength);
  /// Why the newest signature failed; empty where it did not.
  std::string LastFailure();
  void Fail(std::string failure);

  /// @returns false where the identifier is taken.
  static bool Register(std::shared_ptr<ManagedKey> key);
  static std::shared_ptr<ManagedKey> Find(const std::string& identifier);
  /// Connections that already hold the key keep it.
  static void Unregister(const std::string& identifier);

 private:
  const std::string identifier_;
  const Bytes publicKey_;
  const std::shared_ptr<SigningThread> signer_;
  const std::chrono::milliseconds deadline_;
  std::mutex mutex_;
  std::string lastFailure_;
};

}  // namespace assayer
