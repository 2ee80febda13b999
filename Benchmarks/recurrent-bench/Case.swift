import CRecurrentKernels
import Recurrent

/// One thing to measure: a cell or an attention in a mode on a shape.
struct Case {
  /// What is measured.
  enum Subject {
    case cell(Cell)
    case attention(AttentionKind)
  }

  enum Mode: String, CaseIterable {
    /// T steps without a record.
    case forward
    /// `record` and `backward` with every gradient.
    case training
    /// One step of a stream, or of T = 1 from a given state.
    case step
    /// The kernels of such a step of one sequence, called directly.
    case kernels
    /// `forward` and `training` of a layer that runs in both directions.
    case bidirectional
    case bidirectionalTraining = "bidirectional-training"
    /// `forward` and `training` of sequences of 1 to T steps, evenly; their rate is that of the steps that exist.
    case lengths
    case lengthsTraining = "lengths-training"
    /// A step of a stream whose state has decayed to denormal numbers; the same flushed to zero.
    case decay
    case decayFlushed = "decay-flushed"
    /// One update of a whole classifier: embedding of 10,000 symbols, the cell on T steps, a dense unit with σ on its
    /// last output, binary cross-entropy, Adam over every parameter.
    case classifier
    /// One update of the other models that `recurrent experiment` trains; `modelUpdate` describes them.
    case pooledClassifier = "pooled-classifier"
    case text, brackets, adding, forecast
    /// A beam search; `beamSearch` describes it.
    case beam
  }

  static let symbols = 10_000

  let subject: Subject
  let mode: Mode
  let steps: Int
  let batch: Int
  let inputs: Int
  let hidden: Int
  var scalar = scalar_type.f32
  var weights = WeightFormat.full
  /// The size in bytes of the second cache for which the layer is cut.
  var secondCache = Processor.secondCache

  init(_ subject: Subject, _ mode: Mode, steps: Int, batch: Int, inputs: Int, hidden: Int) {
    self.subject = subject
    self.mode = mode
    self.steps = steps
    self.batch = batch
    self.inputs = inputs
    self.hidden = hidden
  }

  /// Nil for an attention.
  var cell: Cell? { if case .cell(let cell) = subject { cell } else { nil } }
  /// The name of the cell or of the attention, as the peers know it.
  var subjectName: String {
    switch subject {
    case .cell(let cell): cell.name
    case .attention(let kind): kind.rawValue
    }
  }
  /// The same with the scalar if it is not float, or with the weights if they are not full.
  var fullName: String { subjectName + (scalar == .f32 ? "" : "-f64") + weightsName }
  private var weightsName: String {
    switch weights {
    case .full: ""
    case .int8: "-i8"
    case .bfloat16: "-bf16"
    }
  }
  var name: String { "\(fullName)/\(mode.rawValue)/n\(batch)_t\(steps)_c\(inputs)_h\(hidden)" }

  /// The scalar that a peer of the case multiplies in; nil if no peer has anything like the case.
  var peerScalar: PeerScalar? {
    guard let cell else { return .f32 }
    guard ["lstm", "gru", "rnn"].contains(cell.name), scalar == .f32,
      isCallOfCell || isModelUpdate || mode == .beam
    else { return nil }
    switch weights {
    case .full: return .f32
    case .bfloat16: return .bf16
    case .int8: return nil
    }
  }
  /// Whether BLIS's whole product can run the case's products alone.
  var hasProducts: Bool { weights == .full && cell?.multipliesByMatrix ?? false && isCallOfCell }
  /// Whether the case is one call of a cell in one direction, with all lengths equal.
  private var isCallOfCell: Bool { [.forward, .training, .step].contains(mode) }
  /// The kernels that a case runs on by default.
  var kernels: UnsafePointer<product_kernels> {
    get throws { try Processor.kernels(nil, scalar: scalar) }
  }
  var isBidirectional: Bool { [.bidirectional, .bidirectionalTraining, .pooledClassifier].contains(mode) }
  /// Whether the case is an update of a whole model.
  var isModelUpdate: Bool {
    [.classifier, .pooledClassifier, .text, .brackets, .adding, .forecast].contains(mode)
  }
  /// [N] if not all sequences have T steps. The lengths are spread evenly, in no order.
  var lengths: [Int]? {
    guard mode == .lengths || mode == .lengthsTraining else { return nil }
    return (0..<batch).map { 1 + ($0 * 37 % batch) * (steps - 1) / max(1, batch - 1) }
  }

  /// Of the products only, backward twice those of forward. A row of a cell has 2·G·H·(C + H), one of an attention
  /// 4·T·C, and 2·C² for each product with a weight.
  var flops: Double {
    let rows = lengths?.reduce(0, +) ?? batch * steps
    let isTraining = isModelUpdate || [.training, .lengthsTraining, .bidirectionalTraining].contains(mode)
    let ofRow =
      switch subject {
      case .cell(let cell): 2 * cell.gates * hidden * (inputs + (cell.multipliesByMatrix ? hidden : 0))
      case .attention(let kind): 4 * steps * inputs + 2 * kind.projections * inputs * inputs
      }
    return Double(ofRow) * Double(rows) * (isTraining ? 3 : 1) * (isBidirectional ? 2 : 1)
  }

  static let cells: [Cell] = [
    .lstm(), .gru(), .rnn(), .indRNN(),
  ]

  private static let attentions: [Case] = AttentionKind.allCases.flatMap { kind in
    [(50, 64, 256), (20, 32, 64), (100, 8, 512)].flatMap { steps, batch, size in
      [Mode.forward, .training].map {
        Case(.attention(kind), $0, steps: steps, batch: batch, inputs: size, hidden: size)
      }
    }
  }

  static let all: [Case] =
    attentions
    + cells.flatMap { cell -> [Case] in
      // T, N, C = H
      func cases(_ modes: [Mode], _ shapes: (Int, Int, Int)...) -> [Case] {
        shapes.flatMap { steps, batch, size in
          modes.map { Case(.cell(cell), $0, steps: steps, batch: batch, inputs: size, hidden: size) }
        }
      }
      var all = cases([.forward, .training], (50, 64, 512), (100, 32, 256), (25, 128, 1024))
      all += cases([.forward], (10, 64, 2048), (100, 1, 64))
      all += cases(
        [.step], (1, 1, 8), (1, 1, 16), (1, 1, 32), (1, 1, 64), (1, 1, 128), (1, 1, 256), (1, 1, 512), (1, 2, 16),
        (1, 4, 16), (1, 2, 64), (1, 4, 64), (1, 64, 512))
      if cell == .lstm() || cell == .gru() {
        // Models of amplifiers and effects run such steps for each sample of audio.
        all += [8, 16, 24, 32, 40, 64].map {
          Case(.cell(cell), .step, steps: 1, batch: 1, inputs: 1, hidden: $0)
        }
      }
      all += cases([.kernels], (1, 1, 16), (1, 1, 32), (1, 1, 64))
      func update(_ mode: Mode, steps: Int, batch: Int = 32, inputs: Int, hidden: Int) -> Case {
        Case(.cell(cell), mode, steps: steps, batch: batch, inputs: inputs, hidden: hidden)
      }
      all += [
        update(.classifier, steps: 100, inputs: 32, hidden: 5), update(.classifier, steps: 40, inputs: 32, hidden: 5),
        update(.pooledClassifier, steps: 40, inputs: 64, hidden: 64),
        update(.text, steps: 64, batch: 24, inputs: 64, hidden: 256),
        update(.brackets, steps: 64, inputs: 32, hidden: 64),
        update(.adding, steps: 200, inputs: 2, hidden: 32), update(.forecast, steps: 24, inputs: 3, hidden: 16),
      ]
      all += [1, 16].map { Case(.cell(cell), .beam, steps: 20, batch: $0, inputs: 32, hidden: 128) }
      all += cases([.bidirectional, .bidirectionalTraining], (50, 64, 256))
      all += cases([.lengths, .lengthsTraining], (100, 64, 256), (100, 64, 512))
      all += cases([.decay, .decayFlushed], (1, 1, 64))
      let ofDoubles = cases([.forward, .training], (50, 64, 512)) + cases([.step], (1, 1, 16), (1, 1, 64), (1, 1, 128))
      let ofFewerBits =
        cases([.forward], (50, 64, 512), (100, 32, 256), (10, 64, 2048), (100, 1, 512))
        + cases([.step], (1, 1, 16), (1, 1, 32), (1, 1, 64), (1, 1, 128), (1, 1, 256), (1, 1, 512), (1, 64, 512))
      return all
        + ofDoubles.map { shape in
          var shape = shape
          shape.scalar = .f64
          return shape
        }
        + [WeightFormat.int8, .bfloat16].flatMap { weights in
          let trained = weights == .bfloat16 ? cases([.training], (50, 64, 512), (100, 32, 256)) : []
          return (ofFewerBits + trained).map { shape in
            var shape = shape
            shape.weights = weights
            return shape
          }
        }
    }
}

extension Case {
  /// The usual cases, and those of the grid that are not among them.
  static func all(withGrid: Bool) -> [Case] {
    guard withGrid else { return all }
    let names = Set(all.map(\.name))
    return all + grid.filter { !names.contains($0.name) }
  }

  /// N, H and cells in every combination, C = H.
  private static let grid: [Case] = cells.flatMap { cell in
    [Mode.forward, .training].flatMap { mode in
      [1, 4, 16, 64].flatMap { batch in
        [8, 16, 32, 64, 128, 256, 512, 1024].map { hidden in
          Case(.cell(cell), mode, steps: hidden < 512 ? 100 : 25, batch: batch, inputs: hidden, hidden: hidden)
        }
      }
    }
  }
}
