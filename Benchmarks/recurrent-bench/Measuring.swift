import CRecurrentKernels
import Recurrent

extension Duration {
  var microseconds: Double { Double(components.seconds) * 1e6 + Double(components.attoseconds) * 1e-12 }
}

/// What a fraction of the sorted values lies below.
func percentile(_ values: [Double], _ fraction: Double) -> Double {
  let sorted = values.sorted()
  return sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]
}

/// The multiply-adds that this core does right now, GF/s: a burst of about a millisecond.
func measurePeak(_ kernels: UnsafePointer<product_kernels>) -> Double {
  let repetitions = 200_000
  var flops = 0.0
  let time = ContinuousClock().measure { flops = kernels.pointee.own.multiply_add_burst(repetitions) }
  return flops / time.microseconds * 1e-3
}

/// GB/s that one core reads of 16 MB, as much as weights that no second cache holds: the slope of a roofline.
func measureReading(_ set: InstructionSet) throws -> Double {
  let products = try Products<Float>(set), panel = AlignedBuffer<Float>(count: 4 << 20)
  let sums = AlignedBuffer<Float>(count: products.width), rows = panel.count / products.width
  let times = try sample(seconds: 0.2) { repetitions in
    for _ in 0..<repetitions { add_rows(products.kernels, sums.start, panel.start, rows) }
  }
  return Double(panel.count * MemoryLayout<Float>.stride) / times.p50 * 1e-3
}

struct Samples {
  /// Of one run.
  let microseconds: [Double]
  /// Measured between the samples: the machine's speed drifts, and a share must compare like with like.
  let peak: Double

  var p50: Double { percentile(microseconds, 0.5) }
  var p90: Double { percentile(microseconds, 0.9) }
}

/// Samples of a body that repeats its work as often as it is told, each of at least 20 µs.
struct Sampler {
  private let body: (Int) throws -> Void
  private let peakOf: UnsafePointer<product_kernels>?
  private let repetitions: Int
  private let once: Double
  private var times: [Double] = []
  private var peaks: [Double] = []

  /// Runs the body until it is warm; the peak of some kernels is measured between the samples.
  init(peakOf kernels: UnsafePointer<product_kernels>?, _ body: @escaping (Int) throws -> Void) throws {
    let clock = ContinuousClock()
    try body(1)
    var repetitions = 1
    var once = try clock.measure { try body(repetitions) }.microseconds
    while once < 20, repetitions < 1 << 20 {
      repetitions *= 2
      once = try clock.measure { try body(repetitions) }.microseconds
    }
    self.body = body
    self.repetitions = repetitions
    self.once = once
    peakOf = kernels
  }

  /// Samples for about `seconds`, at least one.
  mutating func burst(seconds: Double) throws {
    let clock = ContinuousClock(), end = clock.now + .microseconds(seconds * 1e6)
    repeat {
      if let peakOf, times.count % max(1, Int(2000 / once)) == 0 { peaks.append(measurePeak(peakOf)) }
      times.append(try clock.measure { try body(repetitions) }.microseconds / Double(repetitions))
    } while clock.now < end && times.count < 100_000
  }

  var samples: Samples { Samples(microseconds: times, peak: peaks.isEmpty ? .nan : percentile(peaks, 0.5)) }
}

/// Samples of `body` for about `seconds`, at least five.
func sample(seconds: Double, _ body: @escaping (Int) throws -> Void) throws -> Samples {
  var sampler = try Sampler(peakOf: nil, body)
  for _ in 0..<5 { try sampler.burst(seconds: seconds / 5) }
  return sampler.samples
}

/// The products of a case through `bli_sgemm` or `bli_dgemm`, which packs its operands in each call; nil where there is
/// no BLIS.
func measureGemm(_ shape: Case, seconds: Double) throws -> Double? {
  switch shape.scalar {
  case .f32: try measureGemm(Float.self, shape, seconds: seconds)
  case .f64: try measureGemm(Double.self, shape, seconds: seconds)
  }
}

private func measureGemm<Scalar: Element>(_: Scalar.Type, _ shape: Case, seconds: Double) throws -> Double? {
  guard shape.hasProducts, let cell = shape.cell else { return nil }
  let rows = shape.steps * shape.batch, gateUnits = cell.gates * shape.hidden
  // rows, units, k, times
  var products = [(rows, gateUnits, shape.inputs, 1), (shape.batch, gateUnits, shape.hidden, shape.steps)]
  if shape.mode == .training {
    products += [
      (shape.batch, shape.hidden, gateUnits, shape.steps), (rows, shape.inputs, gateUnits, 1),
      (shape.inputs, gateUnits, rows, 1), (shape.hidden, gateUnits, rows, 1),
    ]
  }
  let x = [Scalar](repeating: 0.5, count: products.map { $0.0 * $0.2 }.max()!)
  let weights = [Scalar](repeating: 0.25, count: products.map { $0.1 * $0.2 }.max()!)
  var c = [Scalar](repeating: 0, count: products.map { $0.0 * $0.1 }.max()!)
  let kernels = try shape.kernels
  var works = true
  let samples = try sample(seconds: seconds) { repetitions in
    for _ in 0..<repetitions {
      for (rows, units, k, times) in products {
        for _ in 0..<times {
          x.withUnsafeBufferPointer { x in
            weights.withUnsafeBufferPointer { weights in
              c.withUnsafeMutableBufferPointer { c in
                var operands = gemm_comparison(
                  x: x.baseAddress!, weights: weights.baseAddress!, c: c.baseAddress!, rows: rows, units: units, k: k)
                works = product_by_gemm(kernels, &operands) && works
              }
            }
          }
        }
      }
    }
  }
  return works ? samples.p50 : nil
}
