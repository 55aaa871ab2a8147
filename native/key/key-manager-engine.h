#pragma once

#include <memory>
#include <string>

#include "managed-key.h"

namespace assayer {

/// The id by which Node's `privateKeyEngine` finds the engine.
inline constexpr char kEngineId[] = "assayer-key-manager";

/// Registers the engine in this process, once.
/// @returns why it failed, or an empty text.
std::string RegisterKeyManagerEngine();

/// An OpenSSL key with the public half of `key`, whose signatures come from its key manager. EC and RSA.
/// @returns null where the public key is of another kind or cannot be read; the reason is in OpenSSL's error queue.
EvpPkey LoadManagedKey(const std::shared_ptr<ManagedKey>& key);

/// Signs a random message as TLS does and verifies it with the public key.
/// @returns why it failed, or an empty text.
std::string SignAndVerifyOnce(const std::shared_ptr<ManagedKey>& key);

}  // namespace assayer
