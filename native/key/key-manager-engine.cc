#include "key-manager-engine.h"

#include <dlfcn.h>
#include <openssl/engine.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace assayer {

namespace {

constexpr int kNotSigned = 100;
constexpr int kNoSuchKey = 101;
constexpr int kKeyNotUsable = 102;

struct Engine {
  ENGINE* engine = nullptr;
  int errorLibrary = 0;
  int ecKeyIndex = -1;
  int rsaIndex = -1;
  EVP_PKEY_METHOD* ecMethod = nullptr;
  EVP_PKEY_METHOD* rsaMethod = nullptr;
  std::string failure = "the engine is not registered";
};

/// Lives as long as the process, as OpenSSL's list of engines does.
Engine& engine() {
  static Engine* one = new Engine();
  return *one;
}

void Raise(int reason, const std::string& text) {
  ERR_raise_data(engine().errorLibrary, reason, "%s", text.c_str());
}

// The key's ex_data holds a shared_ptr of its own, which these copy and free with the key.
int CopyExData(CRYPTO_EX_DATA*, const CRYPTO_EX_DATA*, void** from, int, long, void*) {
  auto** slot = reinterpret_cast<std::shared_ptr<ManagedKey>**>(from);
  if (*slot != nullptr) *slot = new std::shared_ptr<ManagedKey>(**slot);
  return 1;
}

void FreeExData(void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::shared_ptr<ManagedKey>*>(held);
}

std::shared_ptr<ManagedKey> KeyOf(const EVP_PKEY* pkey) {
  void* held = nullptr;
  if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC) {
    held = EC_KEY_get_ex_data(EVP_PKEY_get0_EC_KEY(pkey), engine().ecKeyIndex);
  } else {
    held = RSA_get_ex_data(EVP_PKEY_get0_RSA(pkey), engine().rsaIndex);
  }
  return held == nullptr ? nullptr : *static_cast<std::shared_ptr<ManagedKey>*>(held);
}

const char* HashName(const EVP_MD* md) {
  switch (md == nullptr ? NID_undef : EVP_MD_get_type(md)) {
    case NID_sha224:
      return "sha224";
    case NID_sha256:
      return "sha256";
    case NID_sha384:
      return "sha384";
    case NID_sha512:
      return "sha512";
    default:
      return nullptr;
  }
}

/// The salt's bytes of a PSS signature with `context`, as signing with a key at hand would choose them; negative where unknown.
int SaltLength(EVP_PKEY_CTX* context, const EVP_MD* md, EVP_PKEY* pkey) {
  int salt = 0;
  if (EVP_PKEY_CTX_get_rsa_pss_saltlen(context, &salt) <= 0) return -1;
  if (salt >= 0) return salt;
  int hash = EVP_MD_get_size(md);
  int longest = EVP_PKEY_get_size(pkey) - hash - 2 - (EVP_PKEY_get_bits(pkey) % 8 == 1 ? 1 : 0);
  if (salt == RSA_PSS_SALTLEN_DIGEST) return hash;
  if (salt == RSA_PSS_SALTLEN_AUTO_DIGEST_MAX) return std::min(hash, longest);
  return longest;
}

int FailToSign(const std::shared_ptr<ManagedKey>& key, const std::string& failure) {
  key->Fail(failure);
  Raise(kNotSigned, failure);
  return 0;
}

/// EVP_PKEY_METHOD's sign: called in the handshake, on its thread. OpenSSL has checked that `signature` has room for the key's size.
int Sign(EVP_PKEY_CTX* context, unsigned char* signature, size_t* signatureLength, const unsigned char* digest, size_t digestLength) {
  EVP_PKEY* pkey = EVP_PKEY_CTX_get0_pkey(context);
  std::shared_ptr<ManagedKey> key = KeyOf(pkey);
  if (key == nullptr) {
    Raise(kNoSuchKey, "no key manager belongs to it");
    return 0;
  }
  const EVP_MD* md = nullptr;
  const char* hash = EVP_PKEY_CTX_get_signature_md(context, &md) > 0 ? HashName(md) : nullptr;
  if (hash == nullptr) return FailToSign(key, "the handshake chose a hash that key managers do not sign");
  std::string scheme = "ecdsa";
  int saltLength = 0;
  if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA) {
    int padding = 0;
    if (EVP_PKEY_CTX_get_rsa_padding(context, &padding) <= 0) padding = 0;
    if (padding == RSA_PKCS1_PADDING) {
      scheme = "rsa-pkcs1";
    } else if (padding == RSA_PKCS1_PSS_PADDING) {
      scheme = "rsa-pss";
      saltLength = SaltLength(context, md, pkey);
    }
    if (scheme == "ecdsa" || saltLength < 0) return FailToSign(key, "the handshake chose an RSA padding that key managers do not sign");
  }
  Bytes made = key->Sign(Bytes(digest, digest + digestLength), hash, scheme, saltLength);
  if (made.empty()) {
    Raise(kNotSigned, key->LastFailure());
    return 0;
  }
  if (made.size() > static_cast<size_t>(EVP_PKEY_get_size(pkey))) return FailToSign(key, "the key manager's signature is longer than its key allows");
  std::copy(made.begin(), made.end(), signature);
  *signatureLength = made.size();
  return 1;
}

int KeyMethods(ENGINE*, EVP_PKEY_METHOD** method, const int** nids, int nid) {
  static const std::array<int, 2> supported = {EVP_PKEY_EC, EVP_PKEY_RSA};
  if (method == nullptr) {
    *nids = supported.data();
    return supported.size();
  }
  *method = nid == EVP_PKEY_EC ? engine().ecMethod : nid == EVP_PKEY_RSA ? engine().rsaMethod : nullptr;
  return *method != nullptr ? 1 : 0;
}

EVP_PKEY* LoadPrivateKey(ENGINE*, const char* identifier, UI_METHOD*, void*) {
  std::shared_ptr<ManagedKey> key = ManagedKey::Find(identifier);
  if (key == nullptr) {
    Raise(kNoSuchKey, identifier);
    return nullptr;
  }
  return LoadManagedKey(key).release();
}

EVP_PKEY_METHOD* SigningMethod(int id) {
  EVP_PKEY_METHOD* method = EVP_PKEY_meth_new(id, EVP_PKEY_FLAG_AUTOARGLEN);
  const EVP_PKEY_METHOD* original = EVP_PKEY_meth_find(id);
  if (method == nullptr || original == nullptr) return nullptr;
  EVP_PKEY_meth_copy(method, original);
  EVP_PKEY_meth_set_sign(method, nullptr, Sign);
  return method;
}

/// OpenSSL calls into this addon until the process ends, so it must not be unloaded with the thread that loaded it.
bool StayLoaded() {
  Dl_info here{};
  return dladdr(reinterpret_cast<void*>(&StayLoaded), &here) != 0 && dlopen(here.dli_fname, RTLD_LAZY | RTLD_NODELETE) != nullptr;
}

std::string Register() {
  static ERR_STRING_DATA reasons[] = {
      {ERR_PACK(0, 0, kNotSigned), "the key manager did not sign"},
      {ERR_PACK(0, 0, kNoSuchKey), "no such managed key"},
      {ERR_PACK(0, 0, kKeyNotUsable), "the public key of a managed key cannot be used"},
      {0, nullptr},
  };
  if (!StayLoaded()) return "the addon cannot be kept loaded";
  Engine& one = engine();
  one.errorLibrary = ERR_get_next_error_library();
  ERR_load_strings(one.errorLibrary, reasons);
  one.ecKeyIndex = EC_KEY_get_ex_new_index(0, nullptr, nullptr, CopyExData, FreeExData);
  one.rsaIndex = RSA_get_ex_new_index(0, nullptr, nullptr, CopyExData, FreeExData);
  one.ecMethod = SigningMethod(EVP_PKEY_EC);
  one.rsaMethod = SigningMethod(EVP_PKEY_RSA);
  one.engine = ENGINE_new();
  bool registered = one.ecKeyIndex >= 0 && one.rsaIndex >= 0 && one.ecMethod != nullptr && one.rsaMethod != nullptr &&
                    one.engine != nullptr && ENGINE_set_id(one.engine, kEngineId) == 1 &&
                    ENGINE_set_name(one.engine, "keys that stay in a key manager") == 1 &&
                    ENGINE_set_pkey_meths(one.engine, KeyMethods) == 1 &&
                    ENGINE_set_load_privkey_function(one.engine, LoadPrivateKey) == 1 && ENGINE_add(one.engine) == 1;
  return registered ? "" : TakeOpensslError();
}

EvpPkey EcKeyOf(const EVP_PKEY* publicKey, const std::shared_ptr<ManagedKey>& key) {
  const EC_KEY* source = EVP_PKEY_get0_EC_KEY(publicKey);
  EcKey copy(EC_KEY_new());
  EvpPkey pkey(EVP_PKEY_new());
  if (source == nullptr || copy == nullptr || pkey == nullptr || EC_KEY_set_group(copy.get(), EC_KEY_get0_group(source)) != 1 ||
      EC_KEY_set_public_key(copy.get(), EC_KEY_get0_public_key(source)) != 1) {
    return nullptr;
  }
  auto held = std::make_unique<std::shared_ptr<ManagedKey>>(key);
  if (EC_KEY_set_ex_data(copy.get(), engine().ecKeyIndex, held.get()) != 1) return nullptr;
  held.release();
  if (EVP_PKEY_assign_EC_KEY(pkey.get(), copy.get()) != 1) return nullptr;
  copy.release();
  return pkey;
}

EvpPkey RsaKeyOf(const EVP_PKEY* publicKey, const std::shared_ptr<ManagedKey>& key) {
  const RSA* source = EVP_PKEY_get0_RSA(publicKey);
  Rsa copy(RSA_new());
  EvpPkey pkey(EVP_PKEY_new());
  if (source == nullptr || copy == nullptr || pkey == nullptr) return nullptr;
  Bignum modulus(BN_dup(RSA_get0_n(source)));
  Bignum exponent(BN_dup(RSA_get0_e(source)));
  if (RSA_set0_key(copy.get(), modulus.get(), exponent.get(), nullptr) != 1) return nullptr;
  modulus.release();
  exponent.release();
  auto held = std::make_unique<std::shared_ptr<ManagedKey>>(key);
  if (RSA_set_ex_data(copy.get(), engine().rsaIndex, held.get()) != 1) return nullptr;
  held.release();
  if (EVP_PKEY_assign_RSA(pkey.get(), copy.get()) != 1) return nullptr;
  copy.release();
  return pkey;
}

}  // namespace

std::string RegisterKeyManagerEngine() {
  static std::once_flag once;
  std::call_once(once, [] { engine().failure = Register(); });
  return engine().failure;
}

EvpPkey LoadManagedKey(const std::shared_ptr<ManagedKey>& key) {
  const unsigned char* der = key->publicKey().data();
  const unsigned char* end = der + key->publicKey().size();
  EvpPkey publicKey(d2i_PUBKEY(nullptr, &der, static_cast<long>(key->publicKey().size())));
  EvpPkey pkey;
  if (publicKey != nullptr && der == end) {
    int kind = EVP_PKEY_get_base_id(publicKey.get());
    if (kind == EVP_PKEY_EC) pkey = EcKeyOf(publicKey.get(), key);
    if (kind == EVP_PKEY_RSA) pkey = RsaKeyOf(publicKey.get(), key);
  }
  if (pkey == nullptr || EVP_PKEY_set1_engine(pkey.get(), engine().engine) != 1) {
    ERR_clear_error();
    Raise(kKeyNotUsable, "needs an EC or RSA key");
    return nullptr;
  }
  return pkey;
}

std::string SignAndVerifyOnce(const std::shared_ptr<ManagedKey>& key) {
  std::array<unsigned char, 64> message{};
  EvpPkey pkey = LoadManagedKey(key);
  EvpMdCtx signing(EVP_MD_CTX_new());
  if (pkey == nullptr || signing == nullptr || RAND_bytes(message.data(), message.size()) != 1) return TakeOpensslError();
  Bytes signature(static_cast<size_t>(EVP_PKEY_get_size(pkey.get())));
  size_t length = signature.size();
  if (EVP_DigestSignInit_ex(signing.get(), nullptr, "SHA256", nullptr, nullptr, pkey.get(), nullptr) != 1 ||
      EVP_DigestSign(signing.get(), signature.data(), &length, message.data(), message.size()) != 1) {
    std::string failure = key->LastFailure();
    std::string openssl = TakeOpensslError();
    return failure.empty() ? openssl : failure;
  }
  const unsigned char* der = key->publicKey().data();
  EvpPkey publicKey(d2i_PUBKEY(nullptr, &der, static_cast<long>(key->publicKey().size())));
  EvpMdCtx verifying(EVP_MD_CTX_new());
  if (publicKey == nullptr || verifying == nullptr ||
      EVP_DigestVerifyInit_ex(verifying.get(), nullptr, "SHA256", nullptr, nullptr, publicKey.get(), nullptr) != 1) {
    return TakeOpensslError();
  }
  if (EVP_DigestVerify(verifying.get(), signature.data(), length, message.data(), message.size()) != 1) {
    ERR_clear_error();
    return "the key manager's signature does not verify with the public key that was given";
  }
  return "";
}

}  // namespace assayer
