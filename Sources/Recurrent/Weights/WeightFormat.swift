import CRecurrentKernels

/// How a layer keeps the weights that it multiplies by: W and U. Its parameters keep their full precision.
public enum WeightFormat: String, Sendable, CaseIterable, BitwiseCopyable {
  /// The layer's own scalars.
  case full
  /// 8-bit numbers with a scale for each unit of each gate. Each step also rounds the rows of x and h to 8 bits, with a
  /// scale for each row. The sums of their products are exact.
  ///
  /// Only layers of `Float` whose C and H are at most 65,536 can have such weights, for `forward` and for streams, but
  /// not for `record`. On a processor with AVX-512 VNNI, `forward` of a large batch takes at most about a third of the
  /// time that it takes with full weights. A step of an LSTM or a GRU takes a third to a quarter of the time with 64 to
  /// 512 units, about the same time with 16, and 1.4 times as long with 8 (AMD Zen 4).
  ///
  /// A scale is the largest magnitude of its row of x, of h or of a matrix, divided by 127. A row that holds an
  /// infinity or a NaN becomes NaN, and one whose magnitudes are all below 2⁻¹⁰⁰ becomes zero.
  case int8
  /// bfloat16: the upper half of a float, with 8 significant bits. Weights are rounded once, and each step rounds the
  /// rows of x and h before it multiplies them. Their products are added up in floats.
  ///
  /// Only layers of `Float` can have such weights. They can be trained: the products of backward round the gradients of
  /// the gates, x and h in the same way, and the gradients of the parameters are floats, as the parameters are.
  ///
  /// On AVX2 and AVX-512, a step of one sequence takes half of the time or less if the weights come from far caches,
  /// three quarters of it with 128 units, and the same time with up to 32 units. A batch takes about the time of full
  /// weights, and training takes up to 1.6 times as long. AVX512_BF16 and AMX multiply numbers of bfloat16 themselves.
  /// With AVX512_BF16, a batch takes about half of the time, and so does a step of an LSTM or a GRU from 64 units on; a
  /// step of 8 units takes the same time as with full weights. The speed of AMX has not been measured yet.
  ///
  /// Numbers are rounded to the nearest one, of two equally near ones to the even one. Infinities and NaN stay what
  /// they are. Results have the same bits on AVX2 and on AVX-512. AVX512_BF16 and AMX add in orders of their own, so
  /// each of them gives bits of its own. If you need the same bits on every processor, choose `.avx2` or `.avx512` as
  /// the layer's `instructionSet`. In products, AVX512_BF16 and AMX always round sums to the nearest number, and read
  /// and write denormal numbers as zero.
  case bfloat16 = "bf16"

  /// The kernels' name of the format; nil if weights are not rounded.
  var rounded: rounded_format? {
    switch self {
    case .full: nil
    case .int8: .int8
    case .bfloat16: .bf16
    }
  }

  /// The set that a layer with such weights runs on: the given one, or `.avx512bf16` instead of `.amx` if the layer
  /// multiplies in bf16 and the operating system does not permit AMX.
  func permitted(_ set: InstructionSet) -> InstructionSet {
    set == .amx && self == .bfloat16 && !system_permits_amx() ? .avx512bf16 : set
  }

  /// - Throws: `RecurrentError` if a layer cannot have weights in this format.
  func check<Scalar>(for shape: LayerShape, of scalar: Scalar.Type) throws(RecurrentError) {
    guard self != .full else { return }
    guard scalar == Float.self else {
      throw .value(name: "weights", was: rawValue, expected: "full for a layer of \(scalar): \(rawValue) needs Float")
    }
    guard self == .int8 else { return }
    let most = Int(INT8_MOST_K)
    for (name, size) in [("inputSize", shape.inputSize), ("hiddenSize·directions", shape.width)] where size > most {
      throw .size(name: name, was: size, expected: "at most \(most) with weights in int8")
    }
  }

  /// - Throws: `RecurrentError` if a layer with weights in this format cannot be trained.
  func checkTraining() throws(RecurrentError) {
    guard self != .int8 else {
      throw .value(
        name: "weights", was: rawValue, expected: "full or bf16: a layer with weights in 8 bits cannot be trained")
    }
  }
}
