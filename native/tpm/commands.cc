#include "commands.h"

#include <algorithm>
#include <cstring>

#include "marshal.h"

namespace assayer {

namespace {

constexpr TPM2_ALG_ID kSessionHash = TPM2_ALG_SHA256;
constexpr TPMT_SYM_DEF kSessionCipher = {
    .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};
/// Overwrites a structure on every exit.
class Wiped {
 public:
  Wiped(void* start, size_t length) : start_(start), length_(length) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { explicit_bzero(start_, length_); }

 private:
  void* start_;
  size_t length_;
};

/// More than any TPM has room for: one that lies goes on for ever.
constexpr size_t kMaxHandles = 1024;
constexpr TPMT_SYM_DEF kNoCipher = {.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};

template <class Buffer>
Bytes ContentOf(const Buffer& buffer, uint16_t size) {
  return Bytes(buffer, buffer + size);
}

/// Fills a TPM2B whose array is `buffer`.
template <class Sized, class Buffer>
void Fill(Sized& target, Buffer& buffer, const Bytes& bytes, const char* what) {
  if (bytes.size() > sizeof buffer) throw std::invalid_argument(std::string(what) + " is too long");
  target.size = static_cast<uint16_t>(bytes.size());
  memcpy(buffer, bytes.data(), bytes.size());
}

EsysPtr<TPMS_CAPABILITY_DATA> GetCapability(Tpm& tpm, TPM2_CAP capability, uint32_t first, uint32_t count, bool& more) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  TPMI_YES_NO moreData = TPM2_NO;
  tpm.Run("TPM2_GetCapability", [&] {
    return Esys_GetCapability(tpm.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, capability, first, count, &moreData,
                              &raw);
  });
  more = moreData == TPM2_YES;
  return EsysPtr<TPMS_CAPABILITY_DATA>(raw);
}

/// An HMAC session, or a policy session; salted where `saltKey` is a key.
Handle StartSession(Tpm& tpm, TPM2_SE type, ESYS_TR saltKey, const TPMT_SYM_DEF& cipher, TPM2_ALG_ID hash) {
  ESYS_TR session = ESYS_TR_NONE;
  tpm.Run("TPM2_StartAuthSession", [&] {
    return Esys_StartAuthSession(tpm.esys(), saltKey, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                 type, &cipher, hash, &session);
  });
  Handle owned(tpm, session);
  Check("Esys_TRSess_SetAttributes",
        Esys_TRSess_SetAttributes(tpm.esys(), session, TPMA_SESSION_CONTINUESESSION, 0xff));
  return owned;
}

Handle StartSaltedSession(Tpm& tpm, ESYS_TR ek) {
  return StartSession(tpm, TPM2_SE_HMAC, ek, kSessionCipher, kSessionHash);
}

TPM2_ALG_ID NameAlgOf(Tpm& tpm, ESYS_TR key) {
  TPM2B_NAME* raw = nullptr;
  Check("Esys_TR_GetName", Esys_TR_GetName(tpm.esys(), key, &raw));
  const EsysPtr<TPM2B_NAME> name(raw);
  return static_cast<TPM2_ALG_ID>(name->name[0] << 8 | name->name[1]);
}

/// The authorization of an EK: a policy session that PolicySecret satisfies before each use, or its empty password.
class EkAuthorization {
 public:
  EkAuthorization(Tpm& tpm, ESYS_TR ek, EkAuth auth, const Handle& salted) : tpm_(tpm), salted_(salted) {
    if (auth == EkAuth::policySecret) {
      policy_.emplace(StartSession(tpm, TPM2_SE_POLICY, ESYS_TR_NONE, kNoCipher, NameAlgOf(tpm, ek)));
    }
  }

  /// The session for the next command: a policy session is satisfied anew, since each use resets it.
  ESYS_TR Next() {
    if (!policy_) return ESYS_TR_PASSWORD;
    TPM2B_TIMEOUT* timeout = nullptr;
    TPMT_TK_AUTH* ticket = nullptr;
    tpm_.Run("TPM2_PolicySecret", [&] {
      return Esys_PolicySecret(tpm_.esys(), ESYS_TR_RH_ENDORSEMENT, policy_->get(), salted_.get(), ESYS_TR_NONE,
                               ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, &timeout, &ticket);
    });
    const EsysPtr<TPM2B_TIMEOUT> ownedTimeout(timeout);
    const EsysPtr<TPMT_TK_AUTH> ownedTicket(ticket);
    return policy_->get();
  }

 private:
  Tpm& tpm_;
  const Handle& salted_;
  std::optional<Handle> policy_;
};

/// The authorization of a key by itself: an HMAC session proves an auth value without showing it, a key without one needs none.
class KeyAuthorization {
 public:
  KeyAuthorization(Tpm& tpm, uint32_t key) {
    if (tpm.HasAuth(key)) session_.emplace(StartSession(tpm, TPM2_SE_HMAC, ESYS_TR_NONE, kNoCipher, kSessionHash));
  }
  ESYS_TR get() const { return session_ ? session_->get() : ESYS_TR_PASSWORD; }

 private:
  std::optional<Handle> session_;
};

LoadedKey Describe(Tpm& tpm, Handle key) {
  TPM2B_PUBLIC* rawPublic = nullptr;
  TPM2B_NAME* rawName = nullptr;
  TPM2B_NAME* rawQualifiedName = nullptr;
  tpm.Run("TPM2_ReadPublic", [&] {
    return Esys_ReadPublic(tpm.esys(), key.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &rawPublic, &rawName,
                           &rawQualifiedName);
  });
  const EsysPtr<TPM2B_PUBLIC> publicArea(rawPublic);
  const EsysPtr<TPM2B_NAME> name(rawName);
  const EsysPtr<TPM2B_NAME> qualifiedName(rawQualifiedName);
  TPM2_HANDLE handle = 0;
  Check("Esys_TR_GetTpmHandle", Esys_TR_GetTpmHandle(tpm.esys(), key.get(), &handle));
  LoadedKey described{.id = 0,
                      .handle = handle,
                      .publicArea = Marshal(*publicArea, Tss2_MU_TPM2B_PUBLIC_Marshal),
                      .name = ContentOf(name->name, name->size)};
  described.id = tpm.Keep(std::move(key));
  return described;
}

void SetAuth(Tpm& tpm, ESYS_TR object, const SecretBytes& auth, const char* what) {
  TPM2B_AUTH value{};
  const Wiped wiped(&value, sizeof value);
  Fill(value, value.buffer, auth.get(), what);
  Check("Esys_TR_SetAuth", Esys_TR_SetAuth(tpm.esys(), object, &value));
}

LoadedKey CreatePrimary(Tpm& tpm, ESYS_TR hierarchy, const Bytes& publicTemplate) {
  const auto wanted = Unmarshal<TPM2B_PUBLIC>(publicTemplate, Tss2_MU_TPM2B_PUBLIC_Unmarshal);
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_DATA outsideInfo{};
  const TPML_PCR_SELECTION creationPcrs{};
  // An HMAC session proves the hierarchy's auth value without showing it.
  const Handle session = StartSession(tpm, TPM2_SE_HMAC, ESYS_TR_NONE, kNoCipher, kSessionHash);
  ESYS_TR key = ESYS_TR_NONE;
  tpm.Run("TPM2_CreatePrimary", [&] {
    return Esys_CreatePrimary(tpm.esys(), hierarchy, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                              &wanted, &outsideInfo, &creationPcrs, &key, nullptr, nullptr, nullptr, nullptr);
  });
  return Describe(tpm, Handle(tpm, key));
}

ESYS_TR NvReader(ESYS_TR index, TPMA_NV attributes) {
  if (attributes & TPMA_NV_AUTHREAD) return index;
  return attributes & TPMA_NV_OWNERREAD ? ESYS_TR_RH_OWNER : ESYS_TR_RH_PLATFORM;
}

std::runtime_error ReadOthers() { return std::runtime_error("the TPM read other PCRs than it was asked for"); }

}  // namespace

std::vector<std::pair<uint32_t, uint32_t>> ReadProperties(Tpm& tpm, uint32_t first, uint32_t count) {
  bool more = false;
  const auto data = GetCapability(tpm, TPM2_CAP_TPM_PROPERTIES, first, count, more);
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  std::vector<std::pair<uint32_t, uint32_t>> properties;
  for (uint32_t i = 0; i < list.count; i++) {
    properties.emplace_back(list.tpmProperty[i].property, list.tpmProperty[i].value);
  }
  return properties;
}

Bytes ReadAlgorithms(Tpm& tpm) {
  bool more = false;
  const auto data = GetCapability(tpm, TPM2_CAP_ALGS, TPM2_ALG_FIRST, TPM2_MAX_CAP_ALGS, more);
  return Marshal(data->data.algorithms, Tss2_MU_TPML_ALG_PROPERTY_Marshal);
}

Bytes ReadCurves(Tpm& tpm) {
  bool more = false;
  const auto data = GetCapability(tpm, TPM2_CAP_ECC_CURVES, TPM2_ECC_NONE, TPM2_MAX_ECC_CURVES, more);
  return Marshal(data->data.eccCurves, Tss2_MU_TPML_ECC_CURVE_Marshal);
}

Bytes ReadClock(Tpm& tpm) {
  TPMS_TIME_INFO* raw = nullptr;
  tpm.Run("TPM2_ReadClock",
          [&] { return Esys_ReadClock(tpm.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw); });
  const EsysPtr<TPMS_TIME_INFO> time(raw);
  return Marshal(*time, Tss2_MU_TPMS_TIME_INFO_Marshal);
}

std::vector<TPM2_HANDLE> ReadHandles(Tpm& tpm, TPM2_HANDLE first) {
  std::vector<TPM2_HANDLE> handles;
  bool more = true;
  while (more) {
    const auto data = GetCapability(tpm, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, more);
    const TPML_HANDLE& list = data->data.handles;
    if (list.count == 0) break;
    for (uint32_t i = 0; i < list.count; i++) {
      if (list.handle[i] < first) throw std::runtime_error("the TPM does not list its handles in order");
      handles.push_back(list.handle[i]);
      first = list.handle[i] + 1;
    }
    if (handles.size() > kMaxHandles) {
      throw std::runtime_error("the TPM lists more than " + std::to_string(kMaxHandles) + " handles of one type");
    }
  }
  return handles;
}

Bytes ReadPcrBanks(Tpm& tpm) {
  bool more = false;
  const auto data = GetCapability(tpm, TPM2_CAP_PCRS, 0, TPM2_NUM_PCR_BANKS, more);
  return Marshal(data->data.assignedPCR, Tss2_MU_TPML_PCR_SELECTION_Marshal);
}

std::optional<Bytes> ReadNv(Tpm& tpm, TPM2_HANDLE index) {
  ESYS_TR raw = ESYS_TR_NONE;
  const TSS2_RC found = tpm.Resubmit(
      [&] { return Esys_TR_FromTPMPublic(tpm.esys(), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &raw); });
  if (IsFormatOne(found, TPM2_RC_HANDLE)) return std::nullopt;
  Check("TPM2_NV_ReadPublic", found);
  const Handle nv(tpm, raw, Handle::Kind::reference);

  TPM2B_NV_PUBLIC* rawPublic = nullptr;
  TPM2B_NAME* rawName = nullptr;
  tpm.Run("TPM2_NV_ReadPublic", [&] {
    return Esys_NV_ReadPublic(tpm.esys(), nv.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &rawPublic, &rawName);
  });
  const EsysPtr<TPM2B_NV_PUBLIC> nvPublic(rawPublic);
  const EsysPtr<TPM2B_NAME> name(rawName);
  const TPMA_NV attributes = nvPublic->nvPublic.attributes;
  if (!(attributes & TPMA_NV_WRITTEN)) return std::nullopt;

  const auto property = ReadProperties(tpm, TPM2_PT_NV_BUFFER_MAX, 1);
  const bool stated = !property.empty() && property.front().first == TPM2_PT_NV_BUFFER_MAX;
  const uint32_t largest = std::min<uint32_t>(TPM2_MAX_NV_BUFFER_SIZE, stated ? property.front().second : 512);
  if (largest == 0) throw std::runtime_error("the TPM says that it reads no NV bytes at a time");
  const uint32_t size = nvPublic->nvPublic.dataSize;
  Bytes content;
  while (content.size() < size) {
    const auto offset = static_cast<uint16_t>(content.size());
    const auto length = static_cast<uint16_t>(std::min(largest, size - offset));
    TPM2B_MAX_NV_BUFFER* rawChunk = nullptr;
    tpm.Run("TPM2_NV_Read", [&] {
      return Esys_NV_Read(tpm.esys(), NvReader(nv.get(), attributes), nv.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                          ESYS_TR_NONE, length, offset, &rawChunk);
    });
    const EsysPtr<TPM2B_MAX_NV_BUFFER> chunk(rawChunk);
    if (chunk->size != length) throw std::runtime_error("the TPM gave fewer NV bytes than it was asked for");
    content.insert(content.end(), chunk->buffer, chunk->buffer + chunk->size);
  }
  return content;
}

std::vector<PcrValue> ReadPcrs(Tpm& tpm, const Bytes& selection) {
  auto wanted = Unmarshal<TPML_PCR_SELECTION>(selection, Tss2_MU_TPML_PCR_SELECTION_Unmarshal);
  std::vector<PcrValue> values;
  for (;;) {
    TPML_PCR_SELECTION* rawRead = nullptr;
    TPML_DIGEST* rawDigests = nullptr;
    uint32_t counter = 0;
    tpm.Run("TPM2_PCR_Read", [&] {
      return Esys_PCR_Read(tpm.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, &counter, &rawRead,
                           &rawDigests);
    });
    const EsysPtr<TPML_PCR_SELECTION> read(rawRead);
    const EsysPtr<TPML_DIGEST> digests(rawDigests);
    if (digests->count == 0) return values;
    uint32_t next = 0;
    for (uint32_t bank = 0; bank < read->count && bank < wanted.count; bank++) {
      const TPMS_PCR_SELECTION& got = read->pcrSelections[bank];
      TPMS_PCR_SELECTION& missing = wanted.pcrSelections[bank];
      for (unsigned pcr = 0; pcr < 8U * got.sizeofSelect && next < digests->count; pcr++) {
        const auto bit = static_cast<uint8_t>(1U << pcr % 8);
        if (!(got.pcrSelect[pcr / 8] & bit)) continue;
        const bool is_missing = pcr < 8U * missing.sizeofSelect && (missing.pcrSelect[pcr / 8] & bit);
        if (got.hash != missing.hash || !is_missing) throw ReadOthers();
        const TPM2B_DIGEST& digest = digests->digests[next++];
        values.push_back({got.hash, static_cast<uint8_t>(pcr), ContentOf(digest.buffer, digest.size)});
        missing.pcrSelect[pcr / 8] &= static_cast<uint8_t>(~bit);
      }
    }
    if (next == 0) throw ReadOthers();  // nothing would be missing less the next time
  }
}

void SetEndorsementAuth(Tpm& tpm, const SecretBytes& auth) {
  SetAuth(tpm, ESYS_TR_RH_ENDORSEMENT, auth, "the endorsement auth value");
}

void SetOwnerAuth(Tpm& tpm, const SecretBytes& auth) {
  SetAuth(tpm, ESYS_TR_RH_OWNER, auth, "the owner auth value");
}

LoadedKey CreateEk(Tpm& tpm, const Bytes& publicTemplate) {
  return CreatePrimary(tpm, ESYS_TR_RH_ENDORSEMENT, publicTemplate);
}

LoadedKey CreateStorageKey(Tpm& tpm, const Bytes& publicTemplate) {
  return CreatePrimary(tpm, ESYS_TR_RH_OWNER, publicTemplate);
}

LoadedKey OpenObject(Tpm& tpm, TPM2_HANDLE handle) {
  ESYS_TR key = ESYS_TR_NONE;
  tpm.Run("TPM2_ReadPublic", [&] {
    return Esys_TR_FromTPMPublic(tpm.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key);
  });
  return Describe(tpm, Handle(tpm, key, Handle::Kind::reference));
}

LoadedKey CreateAk(Tpm& tpm, uint32_t ek, EkAuth ekAuth, const Bytes& publicTemplate) {
  const auto wanted = Unmarshal<TPM2B_PUBLIC>(publicTemplate, Tss2_MU_TPM2B_PUBLIC_Unmarshal);
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_DATA outsideInfo{};
  const TPML_PCR_SELECTION creationPcrs{};
  const ESYS_TR parent = tpm.Kept(ek).get();
  const Handle salted = StartSaltedSession(tpm, parent);
  EkAuthorization authorization(tpm, parent, ekAuth, salted);

  TPM2B_PRIVATE* rawPrivate = nullptr;
  TPM2B_PUBLIC* rawPublic = nullptr;
  ESYS_TR session = authorization.Next();
  tpm.Run("TPM2_Create", [&] {
    return Esys_Create(tpm.esys(), parent, session, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &wanted, &outsideInfo,
                       &creationPcrs, &rawPrivate, &rawPublic, nullptr, nullptr, nullptr);
  });
  const EsysPtr<TPM2B_PRIVATE> privateArea(rawPrivate);
  const EsysPtr<TPM2B_PUBLIC> publicArea(rawPublic);

  ESYS_TR key = ESYS_TR_NONE;
  session = authorization.Next();
  tpm.Run("TPM2_Load", [&] {
    return Esys_Load(tpm.esys(), parent, session, ESYS_TR_NONE, ESYS_TR_NONE, privateArea.get(), publicArea.get(),
                     &key);
  });
  return Describe(tpm, Handle(tpm, key));
}

SecretBytes ActivateCredential(Tpm& tpm, uint32_t ak, uint32_t ek, EkAuth ekAuth, const Bytes& credentialBlob,
                               const Bytes& secret) {
  const auto blob = Unmarshal<TPM2B_ID_OBJECT>(credentialBlob, Tss2_MU_TPM2B_ID_OBJECT_Unmarshal);
  const auto seed = Unmarshal<TPM2B_ENCRYPTED_SECRET>(secret, Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal);
  const ESYS_TR key = tpm.Kept(ek).get();
  const Handle salted = StartSaltedSession(tpm, key);
  EkAuthorization authorization(tpm, key, ekAuth, salted);
  const ESYS_TR ekSession = authorization.Next();
  Check("Esys_TRSess_SetAttributes",
        Esys_TRSess_SetAttributes(tpm.esys(), salted.get(),
                                  TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, 0xff));
  TPM2B_DIGEST* raw = nullptr;
  tpm.Run("TPM2_ActivateCredential", [&] {
    return Esys_ActivateCredential(tpm.esys(), tpm.Kept(ak).get(), key, salted.get(), ekSession, ESYS_TR_NONE, &blob,
                                   &seed, &raw);
  });
  const EsysPtr<TPM2B_DIGEST> certInfo(raw);
  return SecretBytes(ContentOf(certInfo->buffer, certInfo->size));
}

Quote QuotePcrs(Tpm& tpm, uint32_t ak, const Bytes& qualifyingData, const Bytes& selection) {
  TPM2B_DATA extraData{};
  Fill(extraData, extraData.buffer, qualifyingData, "the qualifying data");
  const auto wanted = Unmarshal<TPML_PCR_SELECTION>(selection, Tss2_MU_TPML_PCR_SELECTION_Unmarshal);
  const TPMT_SIG_SCHEME ownScheme = {.scheme = TPM2_ALG_NULL, .details = {}};
  TPM2B_ATTEST* rawAttest = nullptr;
  TPMT_SIGNATURE* rawSignature = nullptr;
  tpm.Run("TPM2_Quote", [&] {
    return Esys_Quote(tpm.esys(), tpm.Kept(ak).get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &extraData,
                      &ownScheme, &wanted, &rawAttest, &rawSignature);
  });
  const EsysPtr<TPM2B_ATTEST> attest(rawAttest);
  const EsysPtr<TPMT_SIGNATURE> signature(rawSignature);
  return {ContentOf(attest->attestationData, attest->size), Marshal(*signature, Tss2_MU_TPMT_SIGNATURE_Marshal)};
}

WrappedKey CreateKey(Tpm& tpm, uint32_t parent, const Bytes& publicTemplate, const SecretBytes& auth) {
  const auto wanted = Unmarshal<TPM2B_PUBLIC>(publicTemplate, Tss2_MU_TPM2B_PUBLIC_Unmarshal);
  const TPM2B_DATA outsideInfo{};
  const TPML_PCR_SELECTION creationPcrs{};
  const ESYS_TR storageKey = tpm.Kept(parent).get();
  std::optional<Handle> session;
  if (!auth.get().empty()) {
    session.emplace(StartSaltedSession(tpm, storageKey));
    Check("Esys_TRSess_SetAttributes",
          Esys_TRSess_SetAttributes(tpm.esys(), session->get(), TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT,
                                    0xff));
  }
  TPM2B_SENSITIVE_CREATE sensitive{};
  const Wiped wiped(&sensitive, sizeof sensitive);
  Fill(sensitive.sensitive.userAuth, sensitive.sensitive.userAuth.buffer, auth.get(), "the auth value of the key");
  TPM2B_PRIVATE* rawPrivate = nullptr;
  TPM2B_PUBLIC* rawPublic = nullptr;
  tpm.Run("TPM2_Create", [&] {
    return Esys_Create(tpm.esys(), storageKey, session ? session->get() : ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                       &sensitive, &wanted, &outsideInfo, &creationPcrs, &rawPrivate, &rawPublic, nullptr, nullptr,
                       nullptr);
  });
  const EsysPtr<TPM2B_PRIVATE> privateArea(rawPrivate);
  const EsysPtr<TPM2B_PUBLIC> publicArea(rawPublic);
  return {Marshal(*publicArea, Tss2_MU_TPM2B_PUBLIC_Marshal), Marshal(*privateArea, Tss2_MU_TPM2B_PRIVATE_Marshal)};
}

LoadedKey LoadKey(Tpm& tpm, uint32_t parent, const Bytes& publicArea, const Bytes& privateArea) {
  const auto known = Unmarshal<TPM2B_PUBLIC>(publicArea, Tss2_MU_TPM2B_PUBLIC_Unmarshal);
  const auto wrapped = Unmarshal<TPM2B_PRIVATE>(privateArea, Tss2_MU_TPM2B_PRIVATE_Unmarshal);
  ESYS_TR key = ESYS_TR_NONE;
  tpm.Run("TPM2_Load", [&] {
    return Esys_Load(tpm.esys(), tpm.Kept(parent).get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &wrapped, &known,
                     &key);
  });
  return Describe(tpm, Handle(tpm, key));
}

void SetKeyAuth(Tpm& tpm, uint32_t key, const SecretBytes& auth) {
  SetAuth(tpm, tpm.Kept(key).get(), auth, "the auth value of the key");
  if (!auth.get().empty()) tpm.KeepAuth(key);
}

Bytes SaveContext(Tpm& tpm, uint32_t key) {
  TPMS_CONTEXT* raw = nullptr;
  tpm.Run("TPM2_ContextSave", [&] { return Esys_ContextSave(tpm.esys(), tpm.Kept(key).get(), &raw); });
  const EsysPtr<TPMS_CONTEXT> context(raw);
  return Marshal(*context, Tss2_MU_TPMS_CONTEXT_Marshal);
}

LoadedKey LoadContext(Tpm& tpm, const Bytes& context) {
  const auto saved = Unmarshal<TPMS_CONTEXT>(context, Tss2_MU_TPMS_CONTEXT_Unmarshal);
  ESYS_TR key = ESYS_TR_NONE;
  tpm.Run("TPM2_ContextLoad", [&] { return Esys_ContextLoad(tpm.esys(), &saved, &key); });
  return Describe(tpm, Handle(tpm, key));
}

Bytes SignDigest(Tpm& tpm, uint32_t key, const Bytes& digest, const Bytes& scheme) {
  TPM2B_DIGEST value{};
  Fill(value, value.buffer, digest, "the digest");
  const auto chosen = Unmarshal<TPMT_SIG_SCHEME>(scheme, Tss2_MU_TPMT_SIG_SCHEME_Unmarshal);
  // No proof that the TPM made the digest, which only a restricted key asks for.
  const TPMT_TK_HASHCHECK noTicket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL, .digest = {}};
  const KeyAuthorization authorization(tpm, key);
  TPMT_SIGNATURE* raw = nullptr;
  tpm.Run("TPM2_Sign", [&] {
    return Esys_Sign(tpm.esys(), tpm.Kept(key).get(), authorization.get(), ESYS_TR_NONE, ESYS_TR_NONE, &value, &chosen,
                     &noTicket, &raw);
  });
  const EsysPtr<TPMT_SIGNATURE> signature(raw);
  return Marshal(*signature, Tss2_MU_TPMT_SIGNATURE_Marshal);
}

SecretBytes ApplyRsaKey(Tpm& tpm, uint32_t key, const Bytes& number) {
  TPM2B_PUBLIC_KEY_RSA value{};
  Fill(value, value.buffer, number, "the number");
  const TPMT_RSA_DECRYPT noPadding = {.scheme = TPM2_ALG_NULL, .details = {}};
  const TPM2B_DATA noLabel{};
  TPM2B_PUBLIC_KEY_RSA* raw = nullptr;
  tpm.Run("TPM2_RSA_Decrypt", [&] {
    return Esys_RSA_Decrypt(tpm.esys(), tpm.Kept(key).get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &value,
                            &noPadding, &noLabel, &raw);
  });
  const EsysPtr<TPM2B_PUBLIC_KEY_RSA> result(raw);
  return SecretBytes(ContentOf(result->buffer, result->size));
}

Certification CertifyKey(Tpm& tpm, uint32_t key, uint32_t ak, const Bytes& qualifyingData) {
  TPM2B_DATA extraData{};
  Fill(extraData, extraData.buffer, qualifyingData, "the qualifying data");
  const TPMT_SIG_SCHEME ownScheme = {.scheme = TPM2_ALG_NULL, .details = {}};
  const KeyAuthorization authorization(tpm, key);
  TPM2B_ATTEST* rawAttest = nullptr;
  TPMT_SIGNATURE* rawSignature = nullptr;
  tpm.Run("TPM2_Certify", [&] {
    return Esys_Certify(tpm.esys(), tpm.Kept(key).get(), tpm.Kept(ak).get(), authorization.get(), ESYS_TR_PASSWORD,
                        ESYS_TR_NONE, &extraData, &ownScheme, &rawAttest, &rawSignature);
  });
  const EsysPtr<TPM2B_ATTEST> attest(rawAttest);
  const EsysPtr<TPMT_SIGNATURE> signature(rawSignature);
  return {ContentOf(attest->attestationData, attest->size), Marshal(*signature, Tss2_MU_TPMT_SIGNATURE_Marshal)};
}

void FlushForeign(Tpm& tpm, TPM2_HANDLE handle) {
  ESYS_TR found = ESYS_TR_NONE;
  tpm.Run("TPM2_ReadPublic", [&] {
    return Esys_TR_FromTPMPublic(tpm.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &found);
  });
  const Handle flushed(tpm, found);
}

}  // namespace assayer
