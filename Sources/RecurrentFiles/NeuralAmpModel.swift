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
  /// The name that its maker gave it.
  public let name: String?
  /// The sample rate of the training data, in Hz: 48000 if the file does not say it.
  public let sampleRate: Int
  /// One input, H hidden units, any number of levels.
  public let lstm: LSTM<Float>
  /// The state that the trained model settles into on silence.
  public let initialState: State<Float>
  /// [H]: the weight of each hidden unit of the last level in the output.
  public let headWeight: [Float]
  /// The bias of the output.
  public let headBias: Float

  /// Reads a file.
  ///
  /// - Throws: `FileError` if it cannot be read, is of another architecture or of a version other than 0.5 to 0.7, or
  ///   its weights are not as many as its sizes ask for.
  public init(contentsOf path: some FilePathConvertible) throws(FileError) {
    let path = path.filePath, data = try readFile(path)
    do { self = try NeuralAmpModel(data) } catch { throw error.at(path) }
  }

  /// Reads a file's bytes.
  ///
  /// - Throws: `FileError` as the other form does.
  public init(_ data: Data) throws(FileError) {
    do { self = try data.withUnsafeBytes { try NeuralAmpModel(json: $0) } } catch let error as FileError {
      throw error
    } catch { throw FileError("NAM model", "is not the JSON of a NAM model: \(error)") }
  }

  /// - Throws: `FileError`, or `JSONReader.Failure` if it is not JSON or a value has the wrong type.
  private init(json: UnsafeRawBufferPointer) throws {
    func bad(_ problem: String) -> FileError { FileError("NAM model", problem) }
    var reader = JSONReader(json)
    let file = try reader.fields()
    try reader.end()
    // The architecture comes first, because the rest depends on it.
    let architecture = try file.required("architecture") { try $0.string() }
    guard architecture == "LSTM" else { throw bad("is of the architecture '\(architecture)', expected 'LSTM'") }
    // Neural Amp Modeler's own reader accepts these versions, whatever the third number is.
    let versions = ["0.5", "0.6", "0.7"]
    if let version = try file.optional("version", { try $0.string() }),
      !versions.contains(version.split(separator: ".").prefix(2).joined(separator: "."))
    {
      throw bad("is of the version '\(version)', expected one of \(versions.joined(separator: ", "))")
    }
    let config = try file.required("config") { try $0.fields() }
    // As doubles, so that a message can say what they were. A whole number is shown without a decimal point.
    func shown(_ number: Double) -> String { Int(exactly: number).map { "\($0)" } ?? "\(number)" }
    let inputSize = try config.required("input_size") { try $0.number() }
    for (name, size) in [
      ("input_size", inputSize), ("in_channels", try config.optional("in_channels") { try $0.number() }),
      ("out_channels", try config.optional("out_channels") { try $0.number() }),
    ] {
      guard let size, size != 1 else { continue }
      throw bad("'\(name)' is \(shown(size)), expected 1: one sample in, one out")
    }
    let hiddenSize = try config.required("hidden_size") { try $0.number() }
    let layerCount = try config.required("num_layers") { try $0.number() }
    // Up to here the count of weights below cannot overflow.
    for (name, size) in [("hidden_size", hiddenSize), ("num_layers", layerCount)] {
      guard size >= 1, size <= 1e6, size == size.rounded() else {
        throw bad("'\(name)' is \(shown(size)), expected a whole number from 1 to 1000000")
      }
    }
    let h = Int(hiddenSize), layers = Int(layerCount)
    let first = 4 * h * (1 + h) + 6 * h, other = 4 * h * (h + h) + 6 * h
    let expected = first + (layers - 1) * other + h + 1
    // They are counted before any is turned into a number, which takes far longer.
    let count = try file.required("weights") { try $0.skipArray() }
    guard count == expected else {
      throw bad("has \(counted(count, "weight")), expected \(expected) of \(h) hidden units, layers: \(layers)")
    }
    var weights = Weights(values: [])
    weights.values.reserveCapacity(count)
    try file.required("weights") { try $0.array { weights.values.append(try $0.float()) } }
    let rate = try file.optional("sample_rate") { try $0.number() } ?? 48_000
    guard rate >= 1, rate <= 1e7, rate == rate.rounded() else {
      throw bad("'sample_rate' is \(shown(rate)), expected a whole number of Hz from 1 to 10000000")
    }
    sampleRate = Int(rate)
    let metadata = try file.optional("metadata") { try $0.fields() }
    name = try metadata?.optional("name") { try $0.string() }
    do {
      // A state that fades into silence would slow down on denormal numbers.
      var lstm = try LSTM<Float>(inputSize: 1, hiddenSize: h, layerCount: layers, flushesDenormals: true)
      var parameters = lstm.parameters, state = State<Float>(h: [])
      let shape = parameters.shape
      // All levels at once: a parameter's name would be searched among those of all levels.
      parameters.withMutableValues { values in
        for level in 0..<layers {
          let places = shape.parameters(ofPart: level), c = shape.inputSize(ofLevel: level)
          for row in 0..<4 * h {  // of [4·H,C+H]: its part of W, then its part of U
            weights.take(c, into: values, at: places[.inputWeights].lowerBound + row * c)
            weights.take(h, into: values, at: places[.recurrentWeights].lowerBound + row * h)
          }
          weights.take(4 * h, into: values, at: places[.inputBias].lowerBound)  // the sum of both
          values[places[.recurrentBias]].update(repeating: 0)
          state.h += weights.take(h)
          state.c += weights.take(h)
        }
      }
      try lstm.setParameters(parameters)
      self.lstm = lstm
      initialState = state
    } catch { throw bad("\(error)") }
    headWeight = Array(weights.take(h))
    headBias = weights.take(1).first!
  }

  /// A stream of sound through the model, from its initial state.
  public func stream() throws(RecurrentError) -> NeuralAmpStream { try NeuralAmpStream(self) }

  /// All weights, taken one after another. The caller has checked that there are enough.
  private struct Weights {
    var values: [Float]
    var taken = 0

    mutating func take(_ count: Int) -> ArraySlice<Float> {
      defer { taken += count }
      return values[taken..<taken + count]
    }

    mutating func take(_ count: Int, into all: UnsafeMutableBufferPointer<Float>, at place: Int) {
      _ = all[place..<place + count].update(fromContentsOf: take(count))
    }
  }
}
