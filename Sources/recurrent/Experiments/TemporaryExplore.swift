import Recurrent
import RecurrentTraining
import RecurrentFiles
import ToolSupport
import Foundation

enum ExploreSentiment: Command {
  static let name = "explore"
  static let summary = "x"
  static let usage = ""
  static let options = [Option("set", "K=V,..", "x"), Option("seeds", "K", "x"), Option("data","F","x"), Option("split", "S", "x")]
  static func run(_ options: Options) throws {
    var s = SentimentSettings()
    let seeds = try options.number("seeds", in: 1...20, default: 2)
    let split = try options.number("split", in: 1...1000, default: 1)
    var clip = 1.0, label: Float = 0
    for pair in (options["set"] ?? "").split(separator: ",") {
      let kv = pair.split(separator: "=").map(String.init)
      let d = Double(kv[1]) ?? 0
      switch kv[0] {
      case "cell": s.cell = kv[1] == "lstm" ? .lstm() : kv[1] == "rnn" ? .rnn() : .gru()
      case "emb": s.embeddingSize = Int(d)
      case "units": s.units = Int(d)
      case "bi": s.isBidirectional = d > 0
      case "pool": s.summary = d > 0 ? .pooled : .last
      case "dev": s.deviation = Float(d)
      case "word": s.wordDropout = d
      case "in": s.inputDropout = Float(d)
      case "head": s.headDropout = Float(d)
      case "lr": s.learningRate = Float(d)
      case "wd": s.weightDecay = Float(d)
      case "batch": s.batchSize = Int(d)
      case "epochs": s.epochs = Int(d)
      case "patience": s.patience = Int(d)
      case "max": s.maximumWords = Int(d)
      case "min": s.minimumCount = Int(d)
      case "clip": clip = d
      case "smooth": label = Float(d)
      default: fatalError(kv[0])
      }
    }
    let data = try LabelledText(files: ["/work/shared/data/rt-polarity.neg", "/work/shared/data/rt-polarity.pos"])
    let (rest, held) = try data.split(heldOut: 0.1, seed: UInt64(split))
    let (train, valid) = try rest.split(heldOut: 1.0 / 9, seed: UInt64(split) + 1)
    let vocabulary = try WordVocabulary(of: train.texts, minimumCount: s.minimumCount, maximumCount: s.maximumWords)
    let numbers = train.texts.map { vocabulary.numbers(of: $0) }
    func batches(_ t: LabelledText) throws -> [(Tokens, [Int])] {
      let n = t.texts.map { vocabulary.numbers(of: $0) }
      let order = n.indices.sorted { n[$0].count < n[$1].count }
      return try stride(from: 0, to: order.count, by: 256).map { f in
        let b = order[f..<min(order.count, f + 256)]
        return (try Tokens(padding: b.map { n[$0] }, longest: s.longest), b.map { t.labels[$0] })
      }
    }
    let vb = try batches(valid), hb = try batches(held)
    print("train \(train.count) valid \(valid.count) held \(held.count) vocabulary \(vocabulary.count)")
    func evaluate(_ m: SentimentModel, _ b: [(Tokens, [Int])]) throws -> (Double, Double) {
      let w = Workspace(isTraining: false)
      var right = 0, loss = 0.0, count = 0
      for (t, l) in b {
        let y = try m(t, w).0
        for (i, v) in y.values.enumerated() {
          right += (v > 0) == (l[i] == 1) ? 1 : 0
          let z = Double(v)
          loss += max(z, 0) - z * Double(l[i]) + log1p(exp(-abs(z)))
        }
        count += l.count
      }
      return (loss / Double(count), Double(right) / Double(count))
    }
    var results: [Double] = []
    for seed in 1...UInt64(seeds) {
      let begin = ContinuousClock.now
      var model = try SentimentModel(words: max(vocabulary.count, s.maximumWords == 10000 ? 10000 : 0), outputs: 1, s, seed: seed)
      var g = try Gradients(model)
      var opt = TAdamW(learningRate: s.learningRate, weightDecay: s.weightDecay)
      let w = Workspace(seed: seed)
      var dealt = try ShuffledBatches(lengths: numbers.map(\.count), batchSize: s.batchSize, seed: seed)
      var random = SeededGenerator(seed: seed &+ 77)
      var best = (epoch: 0, loss: 1e9, acc: 0.0, held: 0.0), text = ""
      for epoch in 1...s.epochs {
        var sum = 0.0, n = 0
        while let batch = dealt.next() {
          let texts = batch.map { numbers[$0].map { s.wordDropout > 0 && Double.random(in: 0..<1, using: &random) < s.wordDropout ? 1 : $0 } }
          let tokens = try Tokens(padding: texts, longest: s.longest)
          let (y, trace) = try model(tokens, w)
          var logits = y.values
          let loss = try BinaryCrossEntropy.gradient(&logits, labels: batch.map { abs(Float(train.labels[$0]) - label) })
          g.clear()
          try model.backward(try Sequences(logits, steps: 1, batchSize: batch.count, size: 1), trace, into: &g, w)
          opt.update(&model, g, clip: clip)
          sum += loss * Double(batch.count); n += batch.count
        }
        let v = try evaluate(model, vb), h = try evaluate(model, hb)
        text += String(format: " %d:%.3f/%.3f/%.4f/%.4f", epoch, sum / Double(n), v.0, v.1, h.1)
        if v.0 < best.loss { best = (epoch, v.0, v.1, h.1) }
        if epoch - best.epoch >= s.patience { break }
      }
      results.append(best.held)
      printLine(String(format: "seed %d best epoch %d: valid %.3f %.4f held %.4f; %.1f s;", Int(seed), best.epoch, best.loss, best.acc, best.held, (ContinuousClock.now - begin) / .seconds(1)) + text)
    }
    results.sort()
    print("\(options["set"] ?? "") median held \(results[results.count / 2])")
  }
}
