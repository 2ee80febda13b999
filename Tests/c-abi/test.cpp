// Uses the C ABI from C++17: the header compiles without warnings, handles fit into unique_ptr, training lowers a loss,
// and several threads can call at once.
#include <recurrent.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "scalar.h"

namespace {

void check(recurrent_status status) {
  if (status != RECURRENT_OK) throw std::runtime_error(recurrent_last_message());
}

struct Destroy {
  void operator()(recurrent_layer *layer) const { recurrent_layer_destroy(layer); }
  void operator()(recurrent_scratch *scratch) const { recurrent_scratch_destroy(scratch); }
  void operator()(recurrent_record *record) const { recurrent_record_destroy(record); }
  void operator()(recurrent_gradients *gradients) const { recurrent_gradients_destroy(gradients); }
};
template <typename Object>
using Owned = std::unique_ptr<Object, Destroy>;

Owned<recurrent_layer> make_gru(std::size_t inputs, std::size_t units, std::uint64_t seed) {
  recurrent_layer_options options{};
  options.size = sizeof options;
  options.cell = RECURRENT_GRU;
  options.input_size = inputs;
  options.hidden_size = units;
  options.layer_count = 2;
  options.direction = RECURRENT_BIDIRECTIONAL_SUM;
  options.seed = seed;
  recurrent_layer *layer = nullptr;
  check(recurrent_layer_create(&options, &layer));
  return Owned<recurrent_layer>(layer);
}

Owned<recurrent_scratch> make_scratch(std::size_t threads) {
  recurrent_scratch *scratch = nullptr;
  check(recurrent_scratch_create(threads, &scratch));
  return Owned<recurrent_scratch>(scratch);
}

// A state with h and its count; a GRU has no c.
recurrent_state state_of(std::vector<scalar> &h) {
  recurrent_state state{};
  state.size = sizeof state;
  state.h = h.data();
  state.h_count = h.size();
  return state;
}

constexpr std::size_t steps = 6, batch = 5, inputs = 3, units = 8;

recurrent_call sizes() {
  recurrent_call call{};
  call.size = sizeof call;
  call.steps = steps;
  call.batch_size = batch;
  return call;
}

std::vector<scalar> inputs_of_all() {
  std::vector<scalar> x(steps * batch * inputs);
  for (std::size_t i = 0; i < x.size(); i++) x[i] = std::sin(static_cast<scalar>(i));
  return x;
}

// The loss sum(y^2) / 2 has the gradient y. Training must lower it.
void training_lowers_the_loss() {
  const auto layer = make_gru(inputs, units, 1);
  const auto scratch = make_scratch(1);
  recurrent_record *made_record = nullptr;
  check(recurrent_record_create(&made_record));
  const Owned<recurrent_record> record(made_record);
  recurrent_gradients *made_gradients = nullptr;
  check(recurrent_gradients_create(layer.get(), &made_gradients));
  const Owned<recurrent_gradients> gradients(made_gradients);
  std::size_t values = 0, states = 0, outputs = 0;
  check(recurrent_layer_value_count(layer.get(), &values));
  check(recurrent_layer_state_count(layer.get(), &states));
  check(recurrent_layer_output_size(layer.get(), &outputs));
  const auto x = inputs_of_all();
  const auto call = sizes();
  std::vector<scalar> y(steps * batch * outputs), parameters(values), change(values);
  double first = 0, last = 0;
  for (int round = 0; round < 30; round++) {
    std::vector<scalar> h(states * batch * units), dh(states * batch * units);
    const auto state = state_of(h), d_state = state_of(dh);
    check(recurrent_record_forward(layer.get(), &call, x.data(), x.size(), &state, y.data(), y.size(), record.get(),
                                   scratch.get()));
    last = 0;
    for (const scalar value : y) last += value * value / 2;
    if (round == 0) first = last;
    check(recurrent_gradients_zero(gradients.get()));
    check(recurrent_backward(layer.get(), record.get(), x.data(), x.size(), y.data(), y.size(), &d_state, nullptr, 0,
                             gradients.get(), scratch.get()));
    check(recurrent_layer_get_values(layer.get(), parameters.data(), values));
    check(recurrent_gradients_get_values(gradients.get(), change.data(), values));
    for (std::size_t i = 0; i < values; i++) parameters[i] -= scalar(0.02) * change[i];
    check(recurrent_layer_set_values(layer.get(), parameters.data(), values));
  }
  if (!(last < first / 2))
    throw std::runtime_error("the loss went from " + std::to_string(first) + " to " + std::to_string(last));
}

// Threads may share a layer if each has its own scratch, and a scratch may have threads itself.
void threads_share_a_layer() {
  const auto layer = make_gru(inputs, units, 2);
  const auto x = inputs_of_all();
  const auto call = sizes();
  std::vector<std::vector<scalar>> y(4, std::vector<scalar>(steps * batch * units));
  std::vector<std::string> problems(y.size());
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < y.size(); index++) {
    threads.emplace_back([&, index] {
      try {
        const auto scratch = make_scratch(index % 2 + 1);
        for (int round = 0; round < 50; round++) {
          std::vector<scalar> h(4 * batch * units);
          const auto state = state_of(h);
          check(recurrent_forward(layer.get(), &call, x.data(), x.size(), &state, y[index].data(), y[index].size(),
                                  scratch.get()));
        }
      } catch (const std::exception &problem) {
        problems[index] = problem.what();
      }
    });
  }
  for (auto &thread : threads) thread.join();
  for (std::size_t index = 0; index < y.size(); index++) {
    if (!problems[index].empty()) throw std::runtime_error(problems[index]);
    if (y[index] != y[0]) throw std::runtime_error("threads gave different outputs");
  }
}

}  // namespace

int main() {
  try {
    training_lowers_the_loss();
    threads_share_a_layer();
  } catch (const std::exception &problem) {
    std::printf("C++: %s\n", problem.what());
    return 1;
  }
  std::puts(is_double ? "C++, doubles: all as expected" : "C++, floats: all as expected");
}
