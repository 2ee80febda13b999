#include "processor.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
  unsigned eax, ebx, ecx, edx;
} cpuid_answer;

static cpuid_answer cpuid(unsigned leaf) {
  cpuid_answer answer = {0};
  __get_cpuid_count(leaf, 0, &answer.eax, &answer.ebx, &answer.ecx, &answer.edx);
  return answer;
}

// XCR0: the register state that the operating system saves.
static unsigned saved_state(void) {
  if (!(cpuid(1).ecx & bit_OSXSAVE)) return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool all(unsigned value, unsigned bits) { return (value & bits) == bits; }

bool processor_supports(instruction_set set) {
  if (set == instruction_set_portable) return true;
  const unsigned ymm_state = 0x06, zmm_state = 0xe6;
  const cpuid_answer basic = cpuid(1), extended = cpuid(7);
  const bool avx2 = all(saved_state(), ymm_state) && all(basic.ecx, bit_AVX | bit_FMA) &&
                    all(extended.ebx, bit_AVX2 | bit_BMI | bit_BMI2);
  if (set == instruction_set_avx2) return avx2;
  return avx2 && all(saved_state(), zmm_state) &&
         all(extended.ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX512CD);
}

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

bool processor_supports(instruction_set set) { return set == instruction_set_portable; }
void processor_brand(char *name) { strcpy(name, "unknown processor"); }
bool processor_is_amd(void) { return false; }

#endif
