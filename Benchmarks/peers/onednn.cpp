// oneDNN called directly on the benchmark's shapes: onednn THREADS. The same questions and answers as peers.py.
//
// Weights are reordered into the format that the primitive asks for before the timing; its GRU is the one with reset
// after the product (lbr_gru). Written for oneDNN 2 (Debian's libdnnl-dev).
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>

using dnnl::memory;
using tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

namespace {

struct Shape {
  std::string cell, mode;
  memory::dim t, n, c, h;
  memory::dim gates() const { return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1; }
  memory::dim biases() const { return cell == "gru" ? 4 : gates(); }
};

/// A call that can be repeated: primitives in turn, each with its memory.
class Call {
 public:
  Call(const Shape &shape, const dnnl::engine &engine) : shape(shape), engine(engine), stream(engine) {}

  void operator()() {
    for (auto &[primitive, arguments] : steps) primitive.execute(stream, arguments);
    stream.wait();
  }

  void build() {
    const bool trains = shape.mode == "training", starts = shape.mode == "step";
    const auto f32 = memory::data_type::f32;
    const memory::desc layer({shape.t, shape.n, shape.c}, f32, tag::tnc), y({shape.t, shape.n, shape.h}, f32, tag::tnc);
    const memory::desc state({1, 1, shape.n, shape.h}, f32, tag::ldnc), none;
    const memory::desc weights({1, 1, shape.c, shape.gates(), shape.h}, f32, tag::any);
    const memory::desc weights_iter({1, 1, shape.h, shape.gates(), shape.h}, f32, tag::any);
    const memory::desc bias({1, 1, shape.biases(), shape.h}, f32, tag::ldgo);
    const auto kind = trains ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto direction = dnnl::rnn_direction::unidirectional_left2right;
    const memory::desc from = starts ? state : none;

    if (shape.cell == "lstm") {
      dnnl::lstm_forward::primitive_desc forward(
          {kind, direction, layer, from, from, weights, weights_iter, bias, y, state, state}, engine);
      add<dnnl::lstm_forward>(forward);
      if (trains) {
        dnnl::lstm_backward::primitive_desc backward(
            {dnnl::prop_kind::backward, direction, layer, none, none, weights, weights_iter, bias, y, state, state, layer,
             none, none, weights, weights_iter, bias, y, state, state},
            engine, forward);
        add_backward<dnnl::lstm_backward>(backward);
      }
    } else if (shape.cell == "gru") {
      dnnl::lbr_gru_forward::primitive_desc forward(
          {kind, direction, layer, from, weights, weights_iter, bias, y, state}, engine);
      add<dnnl::lbr_gru_forward>(forward);
      if (trains) {
        dnnl::lbr_gru_backward::primitive_desc backward({dnnl::prop_kind::backward, direction, layer, none, weights,
                                                         weights_iter, bias, y, state, layer, none, weights,
                                                         weights_iter, bias, y, state},
                                                        engine, forward);
        add_backward<dnnl::lbr_gru_backward>(backward);
      }
    } else {
      const auto activation = dnnl::algorithm::eltwise_tanh;
      dnnl::vanilla_rnn_forward::primitive_desc forward(
          {kind, activation, direction, layer, from, weights, weights_iter, bias, y, state}, engine);
      add<dnnl::vanilla_rnn_forward>(forward);
      if (trains) {
        dnnl::vanilla_rnn_backward::primitive_desc backward({dnnl::prop_kind::backward, activation, direction, layer,
                                                             none, weights, weights_iter, bias, y, state, layer, none,
                                                             weights, weights_iter, bias, y, state},
                                                            engine, forward);
        add_backward<dnnl::vanilla_rnn_backward>(backward);
      }
    }
  }

 private:
  const Shape shape;
  dnnl::engine engine;
  dnnl::stream stream;
  std::vector<std::pair<dnnl::primitive, Arguments>> steps;
  Arguments plain;  // by argument, in the user's format

  /// Random memory of an argument, the same for every primitive that shares its format.
  memory random(int argument, const memory::desc &description) {
    const auto found = plain.find(argument);
    if (found != plain.end() && found->second.get_desc() == description) return found->second;
    memory result(description, engine);
    static std::mt19937 generator(1);
    const float bound = argument == DNNL_ARG_SRC_LAYER ? 1 : 1 / std::sqrt(float(shape.h));
    std::uniform_real_distribution<float> value(-bound, bound);
    auto *values = static_cast<float *>(result.get_data_handle());
    for (size_t i = 0; i < description.get_size() / sizeof(float); i++) values[i] = value(generator);
    plain[argument] = result;
    return result;
  }

  /// Weights in the primitive's own format, reordered from PyTorch's order of dimensions.
  memory weights(int argument, memory::dim inputs, const memory::desc &wanted) {
    memory user = random(argument, {{1, 1, inputs, shape.gates(), shape.h}, memory::data_type::f32, tag::ldgoi});
    memory result(wanted, engine);
    dnnl::reorder(user, result).execute(stream, user, result);
    stream.wait();
    return result;
  }

  template <typename Description>
  Arguments forward_arguments(const Description &d) {
    Arguments all{{DNNL_ARG_SRC_LAYER, random(DNNL_ARG_SRC_LAYER, d.src_layer_desc())},
                  {DNNL_ARG_WEIGHTS_LAYER, weights(DNNL_ARG_WEIGHTS_LAYER, shape.c, d.weights_layer_desc())},
                  {DNNL_ARG_WEIGHTS_ITER, weights(DNNL_ARG_WEIGHTS_ITER, shape.h, d.weights_iter_desc())},
                  {DNNL_ARG_BIAS, random(DNNL_ARG_BIAS, d.bias_desc())},
                  {DNNL_ARG_DST_LAYER, random(DNNL_ARG_DST_LAYER, d.dst_layer_desc())},
                  {DNNL_ARG_DST_ITER, random(DNNL_ARG_DST_ITER, d.dst_iter_desc())}};
    if (shape.mode == "step") all.insert({DNNL_ARG_SRC_ITER, random(DNNL_ARG_SRC_ITER, d.src_iter_desc())});
    if (shape.cell == "lstm") {
      const memory::desc state({1, 1, shape.n, shape.h}, memory::data_type::f32, tag::ldnc);
      all.insert({DNNL_ARG_DST_ITER_C, random(DNNL_ARG_DST_ITER_C, state)});
      if (shape.mode == "step") all.insert({DNNL_ARG_SRC_ITER_C, random(DNNL_ARG_SRC_ITER_C, state)});
    }
    return all;
  }

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
        {DNNL_ARG_DIFF_SRC_LAYER, d.diff_src_layer_desc()},         {DNNL_ARG_DIFF_WEIGHTS_LAYER, d.diff_weights_layer_desc()},
        {DNNL_ARG_DIFF_WEIGHTS_ITER, d.diff_weights_iter_desc()},   {DNNL_ARG_DIFF_BIAS, d.diff_bias_desc()},
        {DNNL_ARG_DIFF_DST_LAYER, d.diff_dst_layer_desc()},         {DNNL_ARG_DIFF_DST_ITER, d.diff_dst_iter_desc()}};
    for (const auto &[argument, description] : gradients) all.insert({argument, random(argument, description)});
    if (shape.cell == "lstm") {
      const memory::desc state({1, 1, shape.n, shape.h}, memory::data_type::f32, tag::ldnc);
      all.insert({DNNL_ARG_DIFF_DST_ITER_C, random(DNNL_ARG_DIFF_DST_ITER_C, state)});
    }
    steps.emplace_back(Primitive(d), all);
  }
};

/// Microseconds of one call: samples of at least 20 µs.
std::vector<double> samples(Call &call, double seconds) {
  using clock = std::chrono::steady_clock;
  const auto time = [&call](long repetitions) {
    const auto start = clock::now();
    for (long i = 0; i < repetitions; i++) call();
    return std::chrono::duration<double, std::micro>(clock::now() - start).count();
  };
  long repetitions = 1;
  while (time(repetitions) < 20 && repetitions < 1 << 20) repetitions *= 2;
  std::vector<double> times;
  const auto end = clock::now() + std::chrono::duration<double>(seconds);
  while (times.empty() || clock::now() < end) times.push_back(time(repetitions) / double(repetitions));
  return times;
}

}  // namespace

int main(int count, char **arguments) {
  omp_set_num_threads(count > 1 ? std::max(1, std::atoi(arguments[1])) : 1);
  const auto *version = dnnl_version();
  std::cout << "oneDNN " << version->major << '.' << version->minor << '.' << version->patch << std::endl;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  std::unique_ptr<Call> call;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string question;
    words >> question;
    try {
      if (question == "prepare") {
        Shape shape;
        words >> shape.cell >> shape.mode >> shape.t >> shape.n >> shape.c >> shape.h;
        if (shape.mode == "classifier") throw std::runtime_error("has no such mode");
        call = std::make_unique<Call>(shape, engine);
        call->build();
        (*call)();
        std::cout << "ready" << std::endl;
      } else if (question == "run" && call) {
        double seconds = 0;
        words >> seconds;
        for (const double time : samples(*call, seconds)) std::cout << time << ' ';
        std::cout << std::endl;
      } else {
        std::cout << "none unknown question" << std::endl;
      }
    } catch (const std::exception &error) {
      call.reset();
      std::cout << "none " << error.what() << std::endl;
    }
  }
}
