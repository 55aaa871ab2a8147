#pragma once

#include <node_api.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "openssl-handles.h"

namespace assayer {

/// What a key manager needs to know to sign.
struct SignatureRequest {
  std::string keyIdentifier;
  Bytes digest;
  std::string hash;    // "sha256" …
  std::string scheme;  // "ecdsa", "rsa-pkcs1" or "rsa-pss"
  int saltLength;      // bytes; only for "rsa-pss"
};

struct SignatureOutcome {
  Bytes signature;      // empty where it failed
  std::string failure;  // why
};

/// A JavaScript thread that signs for other threads, which wait for it.
class SigningThread {
 public:
  /// Must run on the thread that will sign. `onRequest(requestId, keyIdentifier, digest, hash, scheme, saltLength)`.
  /// @returns an id for Find, unique in the process; 0 with a pending exception where it failed.
  static uint32_t Attach(napi_env env, napi_value onRequest);
  static std::shared_ptr<SigningThread> Find(uint32_t id);
  /// Ends it from its own thread. Requests that wait fail at once.
  static void Detach(uint32_t id);

  /// Blocks until the other thread answers, goes away, or `deadline` has passed.
  SignatureOutcome Sign(SignatureRequest request, std::chrono::milliseconds deadline);
  /// An answer to a request that nobody waits for any more is dropped.
  void Complete(uint32_t requestId, SignatureOutcome outcome);

 private:
  struct Pending {
    SignatureRequest request;
    SignatureOutcome outcome;
    bool done = false;
  };

  static void OnRequest(napi_env env, napi_value onRequest, void* context, void* data);
  static void OnFinalize(napi_env env, void* data, void* context);
  void FailAll(const std::string& failure);

  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<uint32_t, std::shared_ptr<Pending>> pending_;
  uint32_t nextRequestId_ = 1;
  napi_threadsafe_function function_ = nullptr;  // null once it is gone
  std::thread::id thread_;
};

}  // namespace assayer
