// What every peer in C++ shares: it answers the benchmark's questions, which peers.py describes.
#ifndef PEER_HPP
#define PEER_HPP

#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
  std::string cell, mode;
  long t, n, c, h;
};

/// Runs a shape as often as it is told.
using Body = std::function<void(long repetitions)>;

/// Microseconds of one call: samples of at least 20 µs.
inline std::vector<double> samples(const Body &body, double seconds) {
  using clock = std::chrono::steady_clock;
  const auto time = [&body](long repetitions) {
    const auto start = clock::now();
    body(repetitions);
    return std::chrono::duration<double, std::micro>(clock::now() - start).count();
  };
  long repetitions = 1;
  while (time(repetitions) < 20 && repetitions < 1 << 20) repetitions *= 2;
  std::vector<double> times;
  const auto end = clock::now() + std::chrono::duration<double>(seconds);
  while (times.empty() || clock::now() < end) times.push_back(time(repetitions) / double(repetitions));
  return times;
}

/// Prints the name and answers every question on standard input. `prepare` makes a shape ready, or throws what keeps it
/// from that.
inline void answer(const std::string &name, const std::function<Body(const Shape &)> &prepare) {
  std::cout << name << std::endl;
  Body body;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string question;
    words >> question;
    try {
      if (question == "prepare") {
        body = nullptr;
        Shape shape;
        words >> shape.cell >> shape.mode >> shape.t >> shape.n >> shape.c >> shape.h;
        if (!words) throw std::runtime_error("expected CELL MODE T N C H");
        Body prepared = prepare(shape);
        prepared(1);
        body = std::move(prepared);
        std::cout << "ready" << std::endl;
      } else if (question == "run" && body) {
        double seconds = 0;
        words >> seconds;
        for (const double time : samples(body, seconds)) std::cout << time << ' ';
        std::cout << std::endl;
      } else {
        std::cout << "none unknown question" << std::endl;
      }
    } catch (const std::exception &error) {
      std::cout << "none " << error.what() << std::endl;
    }
  }
}

#endif
