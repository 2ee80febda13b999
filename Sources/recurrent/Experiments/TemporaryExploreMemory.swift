import Recurrent
import RecurrentTraining
import RecurrentFiles
import ToolSupport
import Foundation

enum ExploreMemory: Command {
  static let name = "explore-memory"
  static let summary = "x"
  static let usage = ""
  static let options = [Option("set", "K=V,..", "x"), Option("cell", "K", "x"), Option("problem","F","x"), Option("lag", "S", "x"), Option("seed", "S", "x")]
  static func run(_ options: Options) throws {
    var units = 64, batchSize = 32, lr: Float = 1e-3, clip = 1.0, updates = 2000, every = 100
    for pair in (options["set"] ?? "").split(separator: ",") {
      let kv = pair.split(separator: "=").map(String.init)
      let d = Double(kv[1]) ?? 0
      switch kv[0] {
      case "units": units = Int(d)
      case "batch": batchSize = Int(d)
      case "lr": lr = Float(d)
      case "clip": clip = d
      case "chrono": chrono = d > 0
      case "iin": irnnInput = Float(d)
      case "updates": updates = Int(d)
      case "every": every = Int(d)
      default: fatalError(kv[0])
      }
    }
    let cell = MemoryCell(rawValue: options["cell"] ?? "lstm")!, problem = MemoryProblem(rawValue: options["problem"] ?? "adding")!
    let lag = try options.number("lag", in: 2...10000, default: 100)
    let seed = try options.number("seed", in: UInt64(0)...100, default: 1)
    var model = try MemoryModel(cell, problem, lag: lag, units: units, seed: seed)
    var g = try Gradients(model), opt = TAdamW(learningRate: lr)
    let w = Workspace()
    var random = SeededGenerator(seed: seed), testRandom = SeededGenerator(seed: 999)
    let test = try problem.batch(lag: lag, count: 256, using: &testRandom)
    let begin = ContinuousClock.now
    for update in 1...updates {
      let batch = try problem.batch(lag: lag, count: batchSize, using: &random)
      let (y, trace) = try model(batch.x, w)
      var d = y.values
      switch problem {
      case .adding: for i in d.indices { d[i] = 2 * (d[i] - batch.sums[i]) / Float(batchSize) }
      case .copy: _ = try SoftmaxCrossEntropy.gradient(&d, targets: batch.symbols, classes: y.size)
      }
      g.clear()
      _ = try model.backward(try Sequences(d, steps: y.steps, batchSize: y.batchSize, size: y.size), trace, into: &g, w)
      opt.update(&model, g, clip: clip)
      if cell == .indrnn {
        let largest = MemoryCell.largestWeight(steps: problem.steps(lag: lag))
        model.layer.updateEachParameter { name, v in
          if name.hasPrefix("weight_hh") { for i in v.indices { v[i] = min(largest, max(-largest, v[i])) } }
        }
      }
      if update % every == 0 {
        let w = Workspace(isTraining: false)
        let y = try model(test.x, w).0
        var result = 0.0
        switch problem {
        case .adding:
          for i in y.values.indices { result += pow(Double(y.values[i] - test.sums[i]), 2) / Double(y.values.count) }
        case .copy:
          for row in 0..<y.steps * y.batchSize {
            let v = y.values[row * 8..<row * 8 + 8]
            if v.firstIndex(of: v.max()!)! - row * 8 == test.symbols[row] { result += 1 / Double(y.steps * y.batchSize) }
          }
        }
        printLine(String(format: "%5d %.4f %.1f s", update, result, (ContinuousClock.now - begin) / .seconds(1)))
        if problem == .adding ? result < 0.005 : result > 0.995 { break }
      }
    }
    print("\(cell) \(problem) lag \(lag) \(options["set"] ?? "")")
  }
}
