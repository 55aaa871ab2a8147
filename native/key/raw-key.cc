#include "raw-key.h"

namespace assayer {

namespace {

bool SetRsaParameters(EVP_PKEY_CTX* context, size_t length, const std::string& scheme, const std::string& hash, int saltLength,
                      std::string& failure) {
  int padding = scheme == "rsa-pss" ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
  if (EVP_PKEY_CTX_set_rsa_padding(context, padding) <= 0) return false;
  if (hash.empty()) {
    if (padding == RSA_PKCS1_PADDING) return true;
    failure = "PSS needs a hash";
    return false;
  }
  const EVP_MD* md = EVP_get_digestbyname(hash.c_str());
  if (md == nullptr) {
    failure = "the hash \"" + hash + "\" is not known";
    return false;
  }
  if (length != static_cast<size_t>(EVP_MD_get_size(md))) {
    failure = "a " + hash + " digest has " + std::to_string(EVP_MD_get_size(md)) + " bytes, this has " + std::to_string(length);
    return false;
  }
  if (EVP_PKEY_CTX_set_signature_md(context, md) <= 0) return false;
  return padding == RSA_PKCS1_PADDING || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, saltLength) > 0;
}

}  // namespace

EvpPkey ParsePrivateKey(const uint8_t* der, size_t length) {
  const uint8_t* at = der;
  EvpPkey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(length)));
  if (key == nullptr || at != der + length) return nullptr;
  int kind = EVP_PKEY_get_base_id(key.get());
  return kind == EVP_PKEY_EC || kind == EVP_PKEY_RSA ? std::move(key) : nullptr;
}

Bytes SignDigest(EVP_PKEY* key, const uint8_t* digest, size_t length, const std::string& scheme, const std::string& hash,
                 int saltLength, std::string& failure) {
  bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
  if (rsa == (scheme == "ecdsa")) {
    failure = std::string("the key is ") + (rsa ? "RSA" : "EC") + " and cannot sign with " + scheme;
    return {};
  }
  EvpPkeyCtx context(EVP_PKEY_CTX_new(key, nullptr));
  if (context == nullptr || EVP_PKEY_sign_init(context.get()) <= 0) return {};
  if (rsa && !SetRsaParameters(context.get(), length, scheme, hash, saltLength, failure)) return {};
  Bytes signature(static_cast<size_t>(EVP_PKEY_get_size(key)));
  size_t signatureLength = signature.size();
  if (EVP_PKEY_sign(context.get(), signature.data(), &signatureLength, digest, length) <= 0) return {};
  signature.resize(signatureLength);
  return signature;
}

}  // namespace assayer
