import Recurrent

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// An amplifier or a pedal as Neural Amp Modeler trains and writes it (github.com/sdatkinson/neural-amp-modeler, files
/// that end in `.nam`), of the architecture LSTM: one sample in, one out, at each step
///
///     h = LSTM(x)    y = head·h + bias
public struct NeuralAmpModel: Sendable {
  /// What its maker called it.
  public let name: String?
  /// In Hz: what it was trained on.
  public let sampleRate: Int
  public let lstm: LSTM<Float>
  /// What the training ran into on silence.
  public let initialState: State<Float>
  /// [H]
  public let headWeight: [Float]
  public let headBias: Float

  /// Reads a file.
  ///
  /// - Throws: `FileError` where it cannot be read, is of another architecture, or its weights are not as many as its
  ///   sizes ask for.
  public init(contentsOf path: String) throws(FileError) {
    let data = try readData(path)
    do { self = try NeuralAmpModel(data) } catch { throw FileError(path, error.problem) }
  }

  /// Reads a file's bytes.
  ///
  /// - Throws: `FileError` as the other form does.
  public init(_ data: Data) throws(FileError) {
    func bad(_ problem: String) -> FileError { FileError("NAM model", problem) }
    let file: File
    do {
      // First of all, since the rest differs between architectures.
      let architecture = try JSONDecoder().decode(Architecture.self, from: data).architecture
      guard architecture == "LSTM" else { throw bad("is of the architecture '\(architecture)', expected 'LSTM'") }
      file = try JSONDecoder().decode(File.self, from: data)
    } catch let error as FileError { throw error } catch {
      throw bad("is not the JSON of a NAM model: \(reason(error))")
    }
    let config = file.config
    for (name, size) in [
      ("input_size", config.input_size), ("in_channels", config.in_channels), ("out_channels", config.out_channels),
    ] {
      guard let size, size != 1 else { continue }
      throw bad("'\(name)' is \(size), expected 1: one sample in, one out")
    }
    // Up to here the count of weights below cannot overflow.
    for (name, size) in [("hidden_size", config.hidden_size), ("num_layers", config.num_layers)] {
      guard size >= 1, size <= 1e6, size == size.rounded() else {
        throw bad("'\(name)' is \(size), expected a whole number from 1 to 1000000")
      }
    }
    let h = Int(config.hidden_size), layers = Int(config.num_layers)
    let first = 4 * h * (1 + h) + 6 * h, other = 4 * h * (h + h) + 6 * h
    let expected = first + (layers - 1) * other + h + 1
    guard file.weights.count == expected else {
      throw bad("has \(file.weights.count) weights, expected \(expected) of \(h) hidden units, layers: \(layers)")
    }
    var weights = Weights(values: file.weights.map { Float($0) })
    if let index = weights.values.firstIndex(where: { !$0.isFinite }) {
      throw bad("the weight \(index) is \(file.weights[index]), expected a number that a float holds")
    }
    let rate = file.sample_rate ?? 48_000
    guard rate >= 1, rate <= 1e7, rate == rate.rounded() else {
      throw bad("'sample_rate' is \(rate), expected a whole number of Hz from 1 to 10000000")
    }
    sampleRate = Int(rate)
    name = file.metadata?.name
    do {
      // A state that fades into silence would slow down on denormal numbers.
      var lstm = try LSTM<Float>(inputSize: 1, hiddenSize: h, layerCount: layers, flushesDenormals: true)
      var parameters = lstm.parameters, state = State<Float>(h: [])
      for level in 0..<layers {
        let c = level == 0 ? 1 : h
        let both = weights.take(4 * h * (c + h))  // [4·H,C+H]: each row has its part of W, then its part of U
        let rows = (0..<4 * h).map { both[$0 * (c + h)..<($0 + 1) * (c + h)] }
        try parameters.set("weight_ih_l\(level)", to: rows.flatMap { $0.prefix(c) })
        try parameters.set("weight_hh_l\(level)", to: rows.flatMap { $0.suffix(h) })
        try parameters.set("bias_ih_l\(level)", to: weights.take(4 * h))  // the sum of both
        try parameters.set("bias_hh_l\(level)", to: Array(repeating: 0, count: 4 * h))
        state.h += weights.take(h)
        state.c += weights.take(h)
      }
      try lstm.setParameters(parameters)
      self.lstm = lstm
      initialState = state
    } catch { throw bad("\(error)") }
    headWeight = weights.take(h)
    headBias = weights.take(1)[0]
  }

  /// A stream of sound through the model, from its initial state.
  public func stream() throws(RecurrentError) -> NeuralAmpStream { try NeuralAmpStream(self) }

  /// All weights, taken from the front; who asks has made sure that they are there.
  private struct Weights {
    let values: [Float]
    var taken = 0

    mutating func take(_ count: Int) -> [Float] {
      defer { taken += count }
      return Array(values[taken..<taken + count])
    }
  }

  private struct Architecture: Decodable {
    let architecture: String
  }

  /// By the names of the file. All numbers as doubles: whoever reads them can say what they were.
  private struct File: Decodable {
    let config: Config
    let weights: [Double]
    let sample_rate: Double?
    let metadata: Metadata?
  }

  private struct Config: Decodable {
    let input_size: Double
    let hidden_size: Double
    let num_layers: Double
    let in_channels: Double?
    let out_channels: Double?
  }

  private struct Metadata: Decodable {
    let name: String?
  }
}

/// Sound on its way through a model, block by block. Like `RecurrentStream`, it belongs to one thread at a time and
/// allocates nothing while it runs.
public final class NeuralAmpStream {
  private let stream: RecurrentStream<Float>
  private let headWeight: [Float]
  private let headBias: Float
  private let initialState: State<Float>
  private let h: UnsafeMutableBufferPointer<Float>  // [piece,H]

  /// Steps at once, of blocks of any length: h of all of them stays in the nearest cache.
  private static let piece = 64

  fileprivate init(_ model: NeuralAmpModel) throws(RecurrentError) {
    stream = try model.lstm.stream(batchSize: 1)
    headWeight = model.headWeight
    headBias = model.headBias
    initialState = model.initialState
    h = .allocate(capacity: NeuralAmpStream.piece * model.lstm.hiddenSize)
    h.initialize(repeating: 0)
    try reset()
  }

  deinit { h.deallocate() }

  /// Starts again from the model's initial state.
  public func reset() throws(RecurrentError) { try stream.setState(initialState) }

  /// Some samples; the same bits in blocks of any length.
  ///
  /// - Parameters:
  ///   - x: [T], read.
  ///   - y: [T], overwritten.
  /// - Throws: `RecurrentError.count` where they are not of one count; nothing has changed then.
  public func process(_ x: Span<Float>, into y: inout MutableSpan<Float>) throws(RecurrentError) {
    try x.withUnsafeBufferPointer { x throws(RecurrentError) in
      try y.withUnsafeMutableBufferPointer { y throws(RecurrentError) in try process(x, into: y) }
    }
  }

  /// `process` on pointers, for memory that no span can be taken of. x and y may be the same.
  public func process(
    _ x: UnsafeBufferPointer<Float>, into y: UnsafeMutableBufferPointer<Float>
  ) throws(RecurrentError) {
    try checkCount("y", y.count, is: x.count, "the count of x")
    let size = headWeight.count
    var done = 0
    while done < x.count {
      let steps = min(NeuralAmpStream.piece, x.count - done), piece = done..<done + steps
      let units = UnsafeMutableBufferPointer(rebasing: h[..<(steps * size)])
      try stream.process(UnsafeBufferPointer(rebasing: x[piece]), steps: steps, into: units)
      let sums = UnsafeMutableBufferPointer(rebasing: y[piece])
      sums.update(repeating: headBias)
      // Unit by unit: the additions of one step wait for each other, those of different steps do not.
      for unit in 0..<size {
        let weight = headWeight[unit]
        for step in 0..<steps { sums[step] += weight * units[step * size + unit] }
      }
      done += steps
    }
  }
}
