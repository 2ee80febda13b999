// oneDNN called directly on the benchmark's shapes: onednn THREADS [f32|bf16]. peers.py describes the questions and
// answers.
//
// Weights are reordered into the format that the primitive asks for before the timing. The GRU is the one with reset
// after the product (lbr_gru). This file compiles with oneDNN 2 (Debian's libdnnl-dev, which runs on OpenMP) and with
// oneDNN 3 (onednn-devel on PyPI, which runs on SYCL and TBB).
#ifdef _OPENMP
#include <omp.h>
#else
#include <sched.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <random>
#include <unordered_map>

#include "peer.hpp"

using dnnl::memory;
using tag = memory::format_tag;
using type = memory::data_type;
using Arguments = std::unordered_map<int, memory>;

namespace {

/// Keeps oneDNN to some threads. oneDNN 3 has as many as the process has processors.
void limit(int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#else
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  int excess = CPU_COUNT(&allowed) - threads;
  for (int cpu = 0; cpu < CPU_SETSIZE && excess > 0; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_CLR(cpu, &allowed);
    excess--;
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
#endif
}

// What differs between the versions: oneDNN 3 has no operation descriptors.
#if DNNL_VERSION_MAJOR < 3
template <typename Primitive, typename... Of>
auto describe(const dnnl::engine &engine, const Of &...of) {
  return typename Primitive::primitive_desc(typename Primitive::desc(of...), engine);
}
template <typename Primitive, typename Forward, typename... Of>
auto describe_backward(const dnnl::engine &engine, const Forward &forward, const Of &...of) {
  return typename Primitive::primitive_desc(typename Primitive::desc(of...), engine, forward);
}
memory::dims sizes(const memory::desc &description) { return description.dims(); }
#else
template <typename Primitive, typename... Of>
auto describe(const dnnl::engine &engine, const Of &...of) {
  return typename Primitive::primitive_desc(engine, of...);
}
template <typename Primitive, typename Forward, typename... Of>
auto describe_backward(const dnnl::engine &engine, const Forward &forward, const Of &...of) {
  return typename Primitive::primitive_desc(engine, of..., forward);
}
memory::dims sizes(const memory::desc &description) { return description.get_dims(); }
#endif

/// A call that can be repeated: primitives in turn, each with its memory.
class Call {
 public:
  /// Layers, weights and h have the scalar's type; biases, c and all gradients of parameters are floats.
  Call(const Shape &shape, type scalar, const dnnl::engine &engine)
      : shape(shape), scalar(scalar), engine(engine), stream(engine) {
    const bool trains = shape.mode == "training";
    if (!trains && shape.mode != "forward" && shape.mode != "step") throw std::runtime_error("has no such mode");
    const memory::dim gates = shape.cell == "lstm" ? 4 : shape.cell == "gru" ? 3 : shape.cell == "rnn" ? 1 : 0;
    if (gates == 0) throw std::runtime_error("has no such cell");
    const memory::dim biases = shape.cell == "gru" ? 4 : gates;
    const auto layers = [&shape](memory::dim size, type type) {
      return memory::desc({shape.t, shape.n, size}, type, tag::tnc);
    };
    const auto weights = [&shape, gates](memory::dim inputs, type type) {
      return memory::desc({1, 1, inputs, gates, shape.h}, type, tag::any);
    };
    const memory::desc none, x = layers(shape.c, scalar), y = layers(shape.h, scalar);
    const memory::desc h({1, 1, shape.n, shape.h}, scalar, tag::ldnc),
        c({1, 1, shape.n, shape.h}, type::f32, tag::ldnc);
    const memory::desc w = weights(shape.c, scalar), u = weights(shape.h, scalar);
    const memory::desc bias({1, 1, biases, shape.h}, type::f32, tag::ldgo);
    const memory::desc dx = layers(shape.c, type::f32), dy = layers(shape.h, type::f32);
    const memory::desc dw = weights(shape.c, type::f32), du = weights(shape.h, type::f32);
    const auto kind = trains ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto backward = dnnl::prop_kind::backward;
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;
    const bool starts = shape.mode == "step";
    const memory::desc h0 = starts ? h : none, c0 = starts ? c : none;

    if (shape.cell == "lstm") {
      const auto forward = describe<dnnl::lstm_forward>(engine, kind, direction, x, h0, c0, w, u, bias, y, h, c);
      add<dnnl::lstm_forward>(forward);
      if (trains) {
        add_backward<dnnl::lstm_backward>(describe_backward<dnnl::lstm_backward>(engine, forward, backward, direction,
                                                                                 x, none, none, w, u, bias, y, h, c, dx,
                                                                                 none, none, dw, du, bias, dy, c, c));
      }
    } else if (shape.cell == "gru") {
      const auto forward = describe<dnnl::lbr_gru_forward>(engine, kind, direction, x, h0, w, u, bias, y, h);
      add<dnnl::lbr_gru_forward>(forward);
      if (trains) {
        add_backward<dnnl::lbr_gru_backward>(describe_backward<dnnl::lbr_gru_backward>(
            engine, forward, backward, direction, x, none, w, u, bias, y, h, dx, none, dw, du, bias, dy, c));
      }
    } else {
      const auto tanh = dnnl::algorithm::eltwise_tanh;
      const auto forward = describe<dnnl::vanilla_rnn_forward>(engine, kind, tanh, direction, x, h0, w, u, bias, y, h);
      add<dnnl::vanilla_rnn_forward>(forward);
      if (trains) {
        add_backward<dnnl::vanilla_rnn_backward>(describe_backward<dnnl::vanilla_rnn_backward>(
            engine, forward, backward, tanh, direction, x, none, w, u, bias, y, h, dx, none, dw, du, bias, dy, c));
      }
    }
  }

  void operator()() {
    for (auto &[primitive, arguments] : steps) primitive.execute(stream, arguments);
    stream.wait();
  }

 private:
  const Shape shape;
  const type scalar;
  dnnl::engine engine;
  dnnl::stream stream;
  std::vector<std::pair<dnnl::primitive, Arguments>> steps;
  std::map<int, memory> values;                // by argument: random floats in the usual order
  std::map<int, std::vector<memory>> formats;  // by argument: the same values, in each format that was asked for

  /// An argument's memory, the same for every primitive that asks for the same format.
  memory random(int argument, const memory::desc &wanted) {
    for (const memory &found : formats[argument]) {
      if (found.get_desc() == wanted) return found;
    }
    if (values.count(argument) == 0) {
      const memory::dims size = sizes(wanted);
      const tag order = size.size() == 3 ? tag::abc : size.size() == 4 ? tag::abcd : tag::abcde;
      memory plain({size, type::f32, order}, engine);
      const float bound = argument == DNNL_ARG_SRC_LAYER ? 1 : 1 / std::sqrt(float(shape.h));
      std::mt19937 generator(argument);
      std::uniform_real_distribution<float> value(-bound, bound);
      auto *floats = plain.map_data<float>();
      std::generate_n(floats, plain.get_desc().get_size() / sizeof(float), [&] { return value(generator); });
      plain.unmap_data(floats);
      values[argument] = plain;
    }
    memory result(wanted, engine);
    dnnl::reorder(values[argument], result).execute(stream, values[argument], result);
    stream.wait();
    formats[argument].push_back(result);
    return result;
  }

  template <typename Description>
  Arguments forward_arguments(const Description &d) {
    Arguments all{{DNNL_ARG_SRC_LAYER, random(DNNL_ARG_SRC_LAYER, d.src_layer_desc())},
                  {DNNL_ARG_WEIGHTS_LAYER, random(DNNL_ARG_WEIGHTS_LAYER, d.weights_layer_desc())},
                  {DNNL_ARG_WEIGHTS_ITER, random(DNNL_ARG_WEIGHTS_ITER, d.weights_iter_desc())},
                  {DNNL_ARG_BIAS, random(DNNL_ARG_BIAS, d.bias_desc())},
                  {DNNL_ARG_DST_LAYER, random(DNNL_ARG_DST_LAYER, d.dst_layer_desc())},
                  {DNNL_ARG_DST_ITER, random(DNNL_ARG_DST_ITER, d.dst_iter_desc())}};
    if (shape.mode == "step") all.insert({DNNL_ARG_SRC_ITER, random(DNNL_ARG_SRC_ITER, d.src_iter_desc())});
    if (shape.cell == "lstm") {
      all.insert({DNNL_ARG_DST_ITER_C, random(DNNL_ARG_DST_ITER_C, state())});
      if (shape.mode == "step") all.insert({DNNL_ARG_SRC_ITER_C, random(DNNL_ARG_SRC_ITER_C, state())});
    }
    return all;
  }

  /// c, and the gradients of h and c.
  memory::desc state() const { return {{1, 1, shape.n, shape.h}, type::f32, tag::ldnc}; }

  template <typename Primitive, typename Description>
  void add(const Description &d) {
    Arguments all = forward_arguments(d);
    if (shape.mode == "training") all.insert({DNNL_ARG_WORKSPACE, memory(d.workspace_desc(), engine)});
    steps.emplace_back(Primitive(d), all);
  }

  template <typename Primitive, typename Description>
  void add_backward(const Description &d) {
    Arguments all = forward_arguments(d);
    all[DNNL_ARG_WORKSPACE] = steps[0].second[DNNL_ARG_WORKSPACE];
    const std::vector<std::pair<int, memory::desc>> gradients{
        {DNNL_ARG_DIFF_SRC_LAYER, d.diff_src_layer_desc()},
        {DNNL_ARG_DIFF_WEIGHTS_LAYER, d.diff_weights_layer_desc()},
        {DNNL_ARG_DIFF_WEIGHTS_ITER, d.diff_weights_iter_desc()},
        {DNNL_ARG_DIFF_BIAS, d.diff_bias_desc()},
        {DNNL_ARG_DIFF_DST_LAYER, d.diff_dst_layer_desc()},
        {DNNL_ARG_DIFF_DST_ITER, d.diff_dst_iter_desc()}};
    for (const auto &[argument, description] : gradients) all.insert({argument, random(argument, description)});
    if (shape.cell == "lstm") all.insert({DNNL_ARG_DIFF_DST_ITER_C, random(DNNL_ARG_DIFF_DST_ITER_C, state())});
    steps.emplace_back(Primitive(d), all);
  }
};

}  // namespace

int main(int count, char **arguments) {
  const std::string format = count > 2 ? arguments[2] : "f32";
  if (count < 2 || count > 3 || std::atoi(arguments[1]) < 1 || (format != "f32" && format != "bf16")) {
    std::cerr << "usage: onednn THREADS [f32|bf16]" << std::endl;
    return 2;
  }
  limit(std::atoi(arguments[1]));
  const auto *version = dnnl_version();
  std::ostringstream name;
  name << "oneDNN " << version->major << '.' << version->minor << '.' << version->patch;
  if (format != "f32") name << ' ' << format;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  answer(name.str(), [&](const Shape &shape) -> Body {
    auto call = std::make_shared<Call>(shape, format == "f32" ? type::f32 : type::bf16, engine);
    return [call](long repetitions) {
      for (long i = 0; i < repetitions; i++) (*call)();
    };
  });
}
