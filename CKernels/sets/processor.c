#define _GNU_SOURCE  // for syscall
#include "processor.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <pthread.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct {
  unsigned eax, ebx, ecx, edx;
} cpuid_answer;

static cpuid_answer cpuid_subleaf(unsigned leaf, unsigned subleaf) {
  cpuid_answer answer = {0};
  __get_cpuid_count(leaf, subleaf, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
  return answer;
}
static cpuid_answer cpuid(unsigned leaf) { return cpuid_subleaf(leaf, 0); }

// XCR0: the registers that the operating system saves.
static unsigned saved_state(void) {
  if (!(cpuid(1).ecx & bit_OSXSAVE)) return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool all(unsigned value, unsigned bits) { return (value & bits) == bits; }

// Whether the operating system saves the registers and the processor has the features (leaf 1, ECX; leaf 7, EBX).
static bool has(unsigned state, unsigned basic, unsigned extended) {
  return all(saved_state(), state) && all(cpuid(1).ecx, basic) && all(cpuid(7).ebx, extended);
}
static bool has_avx2(void) { return has(0x06, bit_AVX | bit_FMA, bit_AVX2 | bit_BMI | bit_BMI2); }
static bool has_avx512(void) {
  return has_avx2() && has(0xe6, 0, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX512CD);
}

static bool has_avx512_bf16(void) { return has_avx512() && all(cpuid_subleaf(7, 1).eax, bit_AVX512BF16); }

// Linux saves the tile registers only of a process that has asked for it, by arch_prctl. We know of no other system
// that saves them.
#if defined(__linux__)
enum { GET_SUPPORTED_STATE = 0x1021, REQUEST_STATE = 0x1023, TILE_DATA = 18, TILE_STATE = 3 << 17 };

static bool system_has_amx(void) {
  unsigned long long supported = 0;
  return !syscall(SYS_arch_prctl, GET_SUPPORTED_STATE, &supported) && supported >> TILE_DATA & 1;
}

static bool amx_is_permitted;
static void ask_for_amx(void) { amx_is_permitted = !syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA); }
#else
enum { TILE_STATE = 3 << 17 };
static bool system_has_amx(void) { return false; }
static bool amx_is_permitted;
static void ask_for_amx(void) {}
#endif

// VNNI is needed too, because the kernels for AMX multiply a single row with it.
static bool has_amx(void) {
  return has_avx512_bf16() && all(cpuid(7).ecx, bit_AVX512VNNI) &&
         all(cpuid(7).edx, bit_AMXTILE | bit_AMXBF16 | bit_AMXINT8) && all(saved_state(), TILE_STATE) &&
         system_has_amx();
}

bool system_permits_amx(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (has_amx()) pthread_once(&once, ask_for_amx);
  return amx_is_permitted;
}

bool processor_has_avx512_vnni(void) { return has_avx512() && all(cpuid(7).ecx, bit_AVX512VNNI); }

void processor_brand(char *name) {
  strcpy(name, "unknown processor");
  if (cpuid(0x80000000).eax < 0x80000004) return;
  char text[49] = {0};
  for (unsigned part = 0; part < 3; part++) {
    const cpuid_answer answer = cpuid(0x80000002 + part);
    memcpy(text + 16 * part, &answer, 16);
  }
  const char *start = text;
  while (*start == ' ') start++;
  if (*start) strcpy(name, start);
}

bool processor_is_amd(void) {
  const cpuid_answer maker = cpuid(0);
  return maker.ebx == signature_AMD_ebx && maker.ecx == signature_AMD_ecx && maker.edx == signature_AMD_edx;
}

#else

void processor_brand(char *name) { strcpy(name, "unknown processor"); }
bool processor_is_amd(void) { return false; }
bool processor_has_avx512_vnni(void) { return false; }
bool system_permits_amx(void) { return false; }

#endif

bool processor_supports(instruction_set set) {
#define SUPPORTED(of_set, architecture, attributes, supported, ...) \
  architecture(case instruction_set_##of_set : return supported;)
#define SUPPORTED_FOR_ROUNDED(of_set, architecture, supported) SUPPORTED(of_set, architecture, , supported, )
  switch (set) {
    INSTRUCTION_SETS(SUPPORTED)
    INSTRUCTION_SETS_FOR_ROUNDED(SUPPORTED_FOR_ROUNDED)
    default: return false;
  }
#undef SUPPORTED_FOR_ROUNDED
#undef SUPPORTED
}

#define NAME(set, ...) #set,
static const char *const names[] = {INSTRUCTION_SETS(NAME) INSTRUCTION_SETS_FOR_ROUNDED(NAME)};
#undef NAME

ptrdiff_t instruction_set_count(void) { return sizeof names / sizeof *names; }

const char *instruction_set_name(instruction_set set) { return names[set]; }

instruction_set instruction_set_named(const char *name) {
  for (ptrdiff_t set = 0; set < instruction_set_count(); set++)
    if (!strcmp(names[set], name)) return (instruction_set)set;
  return instruction_set_portable;
}
