#define _GNU_SOURCE  // blis.h uses POSIX barriers
#include "micro_kernel.h"

#include <stdio.h>
#include <stdlib.h>

#if __has_include(<blis-serial/blis.h>)
#include <blis-serial/blis.h>
#elif defined(__linux__)
#error "BLIS is missing: install it with 'apt-get install libblis-dev libblis-serial-dev'"
#endif

// BLIS 0.9 has this macro and the look-up functions below. Later versions have renamed them, so with those our own
// kernels run.
#if defined(BLIS_NUM_LEVEL3_UKRS)

// The sub-configurations whose micro-kernels have the tiles of an instruction set, the best first. A libblis that was
// built without one of them returns a null context for it. On AVX2 they serve only for comparison.
typedef struct {
  instruction_set set;
  enum { any_maker, amd, others } maker;
  arch_t id;
  const char *name;
} sub_configuration;
static const sub_configuration sub_configurations[] = {
    {instruction_set_avx512, any_maker, BLIS_ARCH_SKX, "skx"},
    {instruction_set_avx2, amd, BLIS_ARCH_ZEN3, "zen3"},
    {instruction_set_avx2, amd, BLIS_ARCH_ZEN2, "zen2"},
    {instruction_set_avx2, amd, BLIS_ARCH_ZEN, "zen"},
    {instruction_set_avx2, amd, BLIS_ARCH_HASWELL, "haswell"},
    {instruction_set_avx2, others, BLIS_ARCH_HASWELL, "haswell"},
    {instruction_set_avx2, others, BLIS_ARCH_ZEN3, "zen3"},
    {instruction_set_avx2, others, BLIS_ARCH_ZEN, "zen"},
    {instruction_set_portable, any_maker, BLIS_ARCH_GENERIC, "generic"},
};

// BLIS aborts the process if BLIS_ARCH_TYPE names a sub-configuration that it was built without. It reads the variable
// as a number, and anything else as 0. BLIS can only be asked for its sub-configurations after the initialization that
// would abort, so this checks for the usual ones.
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
  bli_init();  // bli_arch_query_id would abort without it if BLIS_ARCH_TYPE is set
  const num_t type = kernels->scalar == scalar_type_f64 ? BLIS_DOUBLE : BLIS_FLOAT;
  for (size_t i = 0; i < sizeof sub_configurations / sizeof *sub_configurations; i++) {
    const sub_configuration *choice = &sub_configurations[i];
    if (choice->set != kernels->set || choice->maker == (processor_is_amd() ? others : amd)) continue;
    cntx_t *context = bli_gks_lookup_nat_cntx(choice->id);
    if (!context) continue;
    const bool rows_on_m = bli_cntx_get_l3_nat_ukr_prefs_dt(type, BLIS_GEMM_UKR, context);
    const ptrdiff_t m = bli_cntx_get_blksz_def_dt(type, BLIS_MR, context);
    const ptrdiff_t n = bli_cntx_get_blksz_def_dt(type, BLIS_NR, context);
    if ((rows_on_m ? m : n) != kernels->tile_rows || (rows_on_m ? n : m) != kernels->panel_width) continue;
    if (kernels->own_is_faster) {
      snprintf(kernels->reason_text, sizeof kernels->reason_text, "own kernels: on AVX2 they replace BLIS's for %s",
               choice->name);
    } else {
      snprintf(kernels->reason_text, sizeof kernels->reason_text, "chosen by CPUID; BLIS by itself would choose %s",
               bli_arch_string(bli_arch_query_id()));
      kernels->sub_configuration = choice->name;
    }
    kernels->reason = kernels->reason_text;
    kernels->micro_kernel.function = bli_cntx_get_l3_nat_ukr_dt(type, BLIS_GEMM_UKR, context);
    kernels->micro_kernel.context = context;
    kernels->micro_kernel.units_on_m = !rows_on_m;
    return;
  }
  kernels->reason = "own kernels: this libblis has no sub-configuration with the tile of the instruction set";
}

#define RUN(function_type, scalar)                                                                 \
  do {                                                                                             \
    const function_type run = (function_type)kernels->micro_kernel.function;                       \
    scalar one = 1, beta = add;                                                                    \
    if (kernels->micro_kernel.units_on_m)                                                          \
      run(panel_width, tile_rows, k, &one, weights, x, &beta, c, 1, c_row_stride, &next, context); \
    else                                                                                           \
      run(tile_rows, panel_width, k, &one, x, weights, &beta, c, c_row_stride, 1, &next, context); \
  } while (0)

void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const void *rows, const void *panel, bool add,
                           void *c, ptrdiff_t c_row_stride, const void *next_panel) {
  cntx_t *context = kernels->micro_kernel.context;
  const ptrdiff_t tile_rows = kernels->tile_rows, panel_width = kernels->panel_width;
  void *x = (void *)rows, *weights = (void *)panel;  // BLIS's prototypes lack const
  auxinfo_t next = {0};
  bli_auxinfo_set_next_a(kernels->micro_kernel.units_on_m ? (void *)next_panel : x, &next);
  bli_auxinfo_set_next_b(kernels->micro_kernel.units_on_m ? x : (void *)next_panel, &next);
  if (kernels->scalar == scalar_type_f64)
    RUN(dgemm_ukr_ft, double);
  else
    RUN(sgemm_ukr_ft, float);
#undef RUN
}

bool product_by_gemm(const product_kernels *kernels, const gemm_comparison *p) {
  if (!kernels->micro_kernel.function) return false;
  rntm_t one_thread;
  bli_rntm_init(&one_thread);
  bli_rntm_set_num_threads(1, &one_thread);
  void *weights = (void *)p->weights, *x = (void *)p->x;
  cntx_t *context = kernels->micro_kernel.context;
  // c is passed as a matrix by columns, so that its stride of 1 is the one along which a micro-kernel with units on M
  // stores.
#define MULTIPLY(function, scalar)                                                                                    \
  function(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, p->units, p->rows, p->k, &(scalar){1}, weights, p->k, 1, x, 1, p->k, \
           &(scalar){0}, p->c, 1, p->units, context, &one_thread)
  if (kernels->scalar == scalar_type_f64)
    MULTIPLY(bli_dgemm_ex, double);
  else
    MULTIPLY(bli_sgemm_ex, float);
#undef MULTIPLY
  return true;
}

#else

void blis_find_micro_kernel(product_kernels *kernels) {
  kernels->reason = "own kernels: there is no BLIS, or a version of it whose look-ups are not known";
}
void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const void *rows, const void *panel, bool add,
                           void *c, ptrdiff_t c_row_stride, const void *next_panel) {}
bool product_by_gemm(const product_kernels *kernels, const gemm_comparison *product) { return false; }

#endif
