#pragma once

// EC_KEY, RSA and ENGINE are deprecated in OpenSSL 3, and Node's TLS has no other door for a key that is not bytes.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace assayer {

using Bytes = std::vector<uint8_t>;

template <auto Free>
struct FreedBy {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

using EvpPkey = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using EvpPkeyCtx = std::unique_ptr<EVP_PKEY_CTX, FreedBy<EVP_PKEY_CTX_free>>;
using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, FreedBy<EVP_MD_CTX_free>>;
using EcKey = std::unique_ptr<EC_KEY, FreedBy<EC_KEY_free>>;
using Rsa = std::unique_ptr<RSA, FreedBy<RSA_free>>;
using Bignum = std::unique_ptr<BIGNUM, FreedBy<BN_free>>;

/// What OpenSSL says went wrong on this thread; its queue is empty afterwards.
inline std::string TakeOpensslError() {
  const char* data = nullptr;
  int flags = 0;
  unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags);
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "error " + std::to_string(code);
  if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && data[0] != '\0') text += std::string(": ") + data;
  ERR_clear_error();
  return text;
}

}  // namespace assayer
