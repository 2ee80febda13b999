#define _GNU_SOURCE  // blis.h names POSIX barriers
#include "micro_kernel.h"

#include <stdio.h>
#include <stdlib.h>

#if __has_include(<blis-serial/blis.h>)
#include <blis-serial/blis.h>
#elif defined(__linux__)
#error "BLIS is missing: install it with 'apt-get install libblis-dev libblis-serial-dev'"
#endif

// BLIS 0.9 has this macro and the look-up functions below. Later versions renamed them: then our own kernels run.
#if defined(BLIS_NUM_LEVEL3_UKRS)

typedef struct {
  arch_t id;
  const char *name;
} sub_configuration;

// The sub-configurations whose sgemm micro-kernel has the tile of the instruction set, the best first. A libblis that
// was built without one answers with a null context.
static const sub_configuration avx512_choices[] = {{BLIS_ARCH_SKX, "skx"}};
static const sub_configuration amd_choices[] = {
    {BLIS_ARCH_ZEN3, "zen3"}, {BLIS_ARCH_ZEN2, "zen2"}, {BLIS_ARCH_ZEN, "zen"}, {BLIS_ARCH_HASWELL, "haswell"}};
static const sub_configuration intel_choices[] = {
    {BLIS_ARCH_HASWELL, "haswell"}, {BLIS_ARCH_ZEN3, "zen3"}, {BLIS_ARCH_ZEN, "zen"}};
static const sub_configuration portable_choices[] = {{BLIS_ARCH_GENERIC, "generic"}};

#define CHOICES(list)                     \
  *count = sizeof(list) / sizeof *(list); \
  return list

static const sub_configuration *choices(instruction_set set, size_t *count) {
  switch (set) {
    case instruction_set_avx512: CHOICES(avx512_choices);
    case instruction_set_avx2:
      if (processor_is_amd()) {
        CHOICES(amd_choices);
      } else {
        CHOICES(intel_choices);
      }
    case instruction_set_portable: CHOICES(portable_choices);
  }
}

// BLIS aborts the process where BLIS_ARCH_TYPE names something it was not built with; it reads the variable as a
// number, anything else as 0. Whether an id was built can only be asked after the initialisation that aborts.
static bool environment_is_harmless(void) {
  const char *value = getenv("BLIS_ARCH_TYPE");
  if (!value) return true;
  const long id = strtol(value, NULL, 10);
  return (id >= BLIS_ARCH_SKX && id <= BLIS_ARCH_BULLDOZER && id != BLIS_ARCH_KNC) || id == BLIS_ARCH_GENERIC;
}

void blis_find_micro_kernel(product_kernels *kernels) {
  kernels->blis_version = bli_info_get_version_str();
  if (!environment_is_harmless()) {
    kernels->reason = "own kernels: BLIS_ARCH_TYPE names a sub-configuration that BLIS would abort on";
    return;
  }
  bli_init();  // before bli_arch_query_id, which aborts otherwise when BLIS_ARCH_TYPE is set
  size_t count;
  const sub_configuration *list = choices(kernels->set, &count);
  for (size_t i = 0; i < count; i++) {
    cntx_t *context = bli_gks_lookup_nat_cntx(list[i].id);
    if (!context) continue;
    const bool rows_on_m = bli_cntx_get_l3_nat_ukr_prefs_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    const ptrdiff_t m = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_MR, context);
    const ptrdiff_t n = bli_cntx_get_blksz_def_dt(BLIS_FLOAT, BLIS_NR, context);
    if ((rows_on_m ? m : n) != kernels->tile_rows || (rows_on_m ? n : m) != kernels->panel_width) continue;
    snprintf(kernels->reason_text, sizeof kernels->reason_text, "chosen by CPUID; BLIS by itself would choose %s",
             bli_arch_string(bli_arch_query_id()));
    kernels->reason = kernels->reason_text;
    kernels->sub_configuration = list[i].name;
    kernels->micro_kernel.function = bli_cntx_get_l3_nat_ukr_dt(BLIS_FLOAT, BLIS_GEMM_UKR, context);
    kernels->micro_kernel.context = context;
    kernels->micro_kernel.units_on_m = !rows_on_m;
    return;
  }
  kernels->reason = "own kernels: this libblis has no sub-configuration with the tile of the instruction set";
}

void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const float *rows, const float *panel, bool add,
                           float *c, ptrdiff_t c_row_stride, const float *next_panel) {
  const sgemm_ukr_ft run = (sgemm_ukr_ft)kernels->micro_kernel.function;
  cntx_t *context = kernels->micro_kernel.context;
  const ptrdiff_t tile_rows = kernels->tile_rows, panel_width = kernels->panel_width;
  float one = 1, beta = add;
  float *x = (float *)rows, *weights = (float *)panel;  // BLIS's prototypes lack const
  auxinfo_t next = {0};
  if (kernels->micro_kernel.units_on_m) {
    bli_auxinfo_set_next_a((void *)next_panel, &next);
    bli_auxinfo_set_next_b(x, &next);
    run(panel_width, tile_rows, k, &one, weights, x, &beta, c, 1, c_row_stride, &next, context);
  } else {
    bli_auxinfo_set_next_a(x, &next);
    bli_auxinfo_set_next_b((void *)next_panel, &next);
    run(tile_rows, panel_width, k, &one, x, weights, &beta, c, c_row_stride, 1, &next, context);
  }
}

bool product_by_sgemm(const product_kernels *kernels, const sgemm_comparison *product) {
  if (!kernels->micro_kernel.function) return false;
  float one = 1, zero = 0;
  rntm_t one_thread;
  bli_rntm_init(&one_thread);
  bli_rntm_set_num_threads(1, &one_thread);
  // Seen by columns, so that c's unit stride lies where a micro-kernel with units on M stores it.
  bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, product->units, product->rows, product->k, &one,
               (float *)product->weights, product->k, 1, (float *)product->x, 1, product->k, &zero, product->c, 1,
               product->units, kernels->micro_kernel.context, &one_thread);
  return true;
}

#else

void blis_find_micro_kernel(product_kernels *kernels) {
  kernels->reason = "own kernels: there is no BLIS, or a version of it whose look-ups are not known";
}
void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const float *rows, const float *panel, bool add,
                           float *c, ptrdiff_t c_row_stride, const float *next_panel) {}
bool product_by_sgemm(const product_kernels *kernels, const sgemm_comparison *product) { return false; }

#endif
