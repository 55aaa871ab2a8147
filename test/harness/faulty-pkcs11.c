/*
 * A PKCS#11 module in front of another one, whose path is in ASSAYER_PKCS11_BEHIND. Of each function below it counts the calls, and
 * does what the file in ASSAYER_PKCS11_FAULTS says: first waits, then returns something else instead. The file is mapped, so that
 * whoever writes it is heard at once. A delay goes without a file, too: ASSAYER_PKCS11_SIGN_MS is how long each C_Sign takes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <pkcs11/pkcs11.h>

/* One a function, in the order of the file; 24 bytes each. */
struct fault {
  _Atomic uint32_t failures; /* how many of the next calls fail */
  uint32_t returned;         /* with what; of C_GetTokenInfo: the flags that are added */
  uint32_t delay_ms;
  _Atomic uint32_t calls;
  _Atomic uint32_t in_flight;
  _Atomic uint32_t most_in_flight;
};

enum { INITIALIZE, FINALIZE, GET_SLOT_LIST, GET_TOKEN_INFO, OPEN_SESSION, LOGIN, FIND, GENERATE, DESTROY, SIGN_INIT, SIGN, FUNCTIONS };

static struct fault unmapped[FUNCTIONS];
static struct fault *faults = unmapped;
static CK_FUNCTION_LIST_PTR behind;
static CK_FUNCTION_LIST list;

static void wait_ms(uint32_t milliseconds) {
  struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000L};
  while (milliseconds > 0 && nanosleep(&left, &left) != 0) {
  }
}

/* Whether the call is to fail; `leave` ends it either way. */
static int enter(int function) {
  struct fault *fault = &faults[function];
  atomic_fetch_add(&fault->calls, 1);
  uint32_t now = atomic_fetch_add(&fault->in_flight, 1) + 1;
  uint32_t most = atomic_load(&fault->most_in_flight);
  while (now > most && !atomic_compare_exchange_weak(&fault->most_in_flight, &most, now)) {
  }
  wait_ms(fault->delay_ms);
  uint32_t failures = atomic_load(&fault->failures);
  while (failures > 0 && !atomic_compare_exchange_weak(&fault->failures, &failures, failures - 1)) {
  }
  return failures > 0;
}

static CK_RV leave(int function, CK_RV returned) {
  atomic_fetch_sub(&faults[function].in_flight, 1);
  return returned;
}

#define CALL(function, call) return leave(function, enter(function) ? (CK_RV)faults[function].returned : behind->call)

static CK_RV initialize(CK_VOID_PTR arguments) { CALL(INITIALIZE, C_Initialize(arguments)); }
static CK_RV finalize(CK_VOID_PTR reserved) { CALL(FINALIZE, C_Finalize(reserved)); }
static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR count) {
  CALL(GET_SLOT_LIST, C_GetSlotList(present, slots, count));
}
static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info) {
  int adds = enter(GET_TOKEN_INFO);
  CK_RV returned = behind->C_GetTokenInfo(slot, info);
  if (adds && returned == CKR_OK) info->flags |= faults[GET_TOKEN_INFO].returned;
  return leave(GET_TOKEN_INFO, returned);
}
static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR application, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR session) {
  CALL(OPEN_SESSION, C_OpenSession(slot, flags, application, notify, session));
}
static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length) {
  CALL(LOGIN, C_Login(session, user, pin, length));
}
static CK_RV find(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR template, CK_ULONG count) {
  CALL(FIND, C_FindObjectsInit(session, template, count));
}
static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR public_template, CK_ULONG public_count,
                      CK_ATTRIBUTE_PTR private_template, CK_ULONG private_count, CK_OBJECT_HANDLE_PTR public_key,
                      CK_OBJECT_HANDLE_PTR private_key) {
  CALL(GENERATE, C_GenerateKeyPair(session, mechanism, public_template, public_count, private_template, private_count, public_key,
                                   private_key));
}
static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) { CALL(DESTROY, C_DestroyObject(session, object)); }
static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  CALL(SIGN_INIT, C_SignInit(session, mechanism, key));
}
static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR signature, CK_ULONG_PTR signature_length) {
  CALL(SIGN, C_Sign(session, data, length, signature, signature_length));
}

static void map_faults(void) {
  const char *path = getenv("ASSAYER_PKCS11_FAULTS");
  const char *sign_ms = getenv("ASSAYER_PKCS11_SIGN_MS");
  int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (file >= 0) {
    void *mapped = mmap(NULL, sizeof unmapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) faults = mapped;
    close(file);
  }
  if (sign_ms != NULL) faults[SIGN].delay_ms = (uint32_t)strtoul(sign_ms, NULL, 10);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR functions) {
  if (behind == NULL) {
    const char *path = getenv("ASSAYER_PKCS11_BEHIND");
    void *module = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = module == NULL ? NULL : (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList");
    CK_RV returned = get == NULL ? CKR_GENERAL_ERROR : get(&behind);
    if (returned != CKR_OK) return returned;
    map_faults();
    memcpy(&list, behind, sizeof list);
    list.C_Initialize = initialize;
    list.C_Finalize = finalize;
    list.C_GetSlotList = get_slot_list;
    list.C_GetTokenInfo = get_token_info;
    list.C_OpenSession = open_session;
    list.C_Login = login;
    list.C_FindObjectsInit = find;
    list.C_GenerateKeyPair = generate;
    list.C_DestroyObject = destroy;
    list.C_SignInit = sign_init;
    list.C_Sign = sign;
    list.C_GetFunctionList = C_GetFunctionList;
  }
  *functions = &list;
  return CKR_OK;
}
