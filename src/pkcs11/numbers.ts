/** Numbers of the PKCS#11 interface, by their names there. Source: OASIS PKCS #11 Base Specification 2.40, pkcs11t.h. */

export const CKA = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  decrypt: 0x105,
  unwrap: 0x107,
  sign: 0x108,
  signRecover: 0x109,
  verify: 0x10a,
  derive: 0x10c,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  extractable: 0x162,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;

/** Classes of objects. */
export const CKO = { publicKey: 2, privateKey: 3 } as const;

/** Types of keys. */
export const CKK = { rsa: 0, ec: 3 } as const;

/** Mechanisms. */
export const CKM = {
  rsaKeyPairGen: 0x0000,
  rsaPkcs: 0x0001,
  /** RSA without a padding. */
  rsaX509: 0x0003,
  rsaPss: 0x000d,
  sha256: 0x0250,
  sha224: 0x0255,
  sha384: 0x0260,
  sha512: 0x0270,
  ecKeyPairGen: 0x1040,
  ecdsa: 0x1041,
} as const;

/** Mask generation functions of PSS. */
export const CKG = { mgf1Sha256: 2, mgf1Sha384: 3, mgf1Sha512: 4, mgf1Sha224: 5 } as const;

/** Flags of C_Initialize, of sessions, and of tokens. */
export const CKF = {
  osLockingOk: 0x2,
  rwSession: 0x2,
  serialSession: 0x4,
  loginRequired: 0x4,
  userPinInitialized: 0x8,
  tokenInitialized: 0x400,
  userPinCountLow: 0x10000,
  userPinFinalTry: 0x20000,
  userPinLocked: 0x40000,
} as const;

export const CKU_USER = 1;
/** The state of a session that reads and writes, of a user who is logged in. */
export const CKS_RW_USER = 3;
/** By which the addon knows the parameters of PSS. */
export const CK_PARAMS_RSA_PSS = 5;
