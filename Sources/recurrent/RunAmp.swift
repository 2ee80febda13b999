import Foundation
import Recurrent
import RecurrentFiles
import ToolSupport

/// `recurrent amp`: a model of an amplifier on a recording, block by block as a sound card would ask for it.
enum RunAmp: Command {
  static let name = "amp"
  static let summary = "run a Neural Amp Modeler LSTM over a WAV file, against the clock"

  static let usage = "--model FILE --in FILE [options]"
  static let options = [
    Option("model", "FILE", "the amplifier: a .nam file of the architecture LSTM"),
    Option("in", "FILE", "a WAV file at the model's sample rate; of two channels the first is taken"),
    Option("out", "FILE", "write what the amplifier makes of it, as 32-bit floats"),
    Option("block", "K", "samples at a time, 64 by default"),
  ]

  static func run(_ options: Options) throws {
    let modelPath = try options.requiredPath("model"), soundPath = try options.requiredPath("in")
    let block = try options.number("block", in: 1...1_000_000, default: 64)
    try options.checkWritable("out")

    let model = try NeuralAmpModel(contentsOf: modelPath)
    let sound = try WaveFile(contentsOf: soundPath)
    guard sound.sampleRate == model.sampleRate else {
      throw ToolError(
        "\(soundPath): the sample rate is \(sound.sampleRate) Hz, expected the model's \(model.sampleRate) Hz")
    }
    let x = sound.channels[0]
    guard !x.isEmpty else { throw ToolError("\(soundPath): has 0 samples, expected at least 1") }
    printLine(Processor.description)
    printLine(
      "\(model.name ?? modelPath.description): LSTM of \(model.lstm.hiddenSize) units, layers: \(model.lstm.layerCount), "
        + "\(model.sampleRate) Hz")
    if sound.channels.count > 1 { printLine("\(soundPath): has two channels, the first is taken") }

    let (y, seconds, worst) = try amplify(x, model, block: block)
    if let index = y.firstIndex(where: { !$0.isFinite }) {
      throw ToolError("the output is \(y[index]) at sample \(index): are the input or the weights too large?")
    }
    let duration = Double(x.count) / Double(model.sampleRate)
    let budget = Double(min(block, x.count)) / Double(model.sampleRate)
    let peak = Double(y.reduce(0) { max($0, abs($1)) })
    printLine(String(format: "%.3f s of sound in blocks of %d samples", duration, block))
    printLine(String(format: "%.3f ms, %.0f times faster than real time", seconds * 1e3, duration / seconds))
    printLine(
      String(
        format: "worst block %.1f µs of the %.1f µs that it may take, %.2f %%", worst * 1e6, budget * 1e6,
        worst / budget * 100))
    printLine(String(format: "peak level %.4f, %.1f dBFS", peak, 20 * log10(peak)))
    if let out = options.path("out") {
      try WaveFile(sampleRate: model.sampleRate, channels: [y]).write(to: out)
      printLine("wrote \(out)")
    }
  }

  /// The output, the seconds of all blocks, and those of the slowest.
  private static func amplify(
    _ x: [Float], _ model: NeuralAmpModel, block: Int
  ) throws -> (y: [Float], seconds: Double, worst: Double) {
    let stream = try model.stream(), clock = ContinuousClock()
    var y = [Float](repeating: 0, count: x.count), worst = Duration.zero
    let begin = clock.now
    var last = begin
    try x.withUnsafeBufferPointer { x in
      try y.withUnsafeMutableBufferPointer { y in
        for first in stride(from: 0, to: x.count, by: block) {
          let samples = first..<min(first + block, x.count)
          try stream.process(UnsafeBufferPointer(rebasing: x[samples]), into: .init(rebasing: y[samples]))
          let now = clock.now
          worst = max(worst, now - last)
          last = now
        }
      }
    }
    return (y, (last - begin) / .seconds(1), worst / .seconds(1))
  }
}
