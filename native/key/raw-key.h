#pragma once

#include <string>

#include "openssl-handles.h"

namespace assayer {

/// Parses a PKCS #8 private key, DER, EC or RSA.
/// @returns null where it is something else; the reason is in OpenSSL's error queue.
EvpPkey ParsePrivateKey(const uint8_t* der, size_t length);

/// Signs a digest that was computed already.
/// @param hash as OpenSSL names it, "sha256"; empty for bytes that are no digest (RSA PKCS #1 without DigestInfo). ECDSA
///   does not look at it and takes the digest's leftmost bits.
/// @param saltLength for "rsa-pss": bytes, or -1 for the digest's length, or -3 for the longest that fits.
/// @returns an empty result on failure; the reason is in OpenSSL's error queue or in `failure`.
Bytes SignDigest(EVP_PKEY* key, const uint8_t* digest, size_t length, const std::string& scheme, const std::string& hash,
                 int saltLength, std::string& failure);

}  // namespace assayer
