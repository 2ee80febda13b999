/// Which recurrent cell, and what follows from it for memory and products.
///
/// The record keeps each gate of a cell in a slot. W and U each feed a window of neighbouring slots, which is also the
/// window of gradients that their backward products read.
public enum Cell: Equatable, Sendable, BitwiseCopyable {
  /// What an RNN's h passes through.
  public enum Nonlinearity: Sendable, BitwiseCopyable {
    /// The hyperbolic tangent.
    case tanh
    /// max(0, x)
    case relu
  }
  /// How an LSTM's h follows from its c.
  public enum CellOutput: Sendable, BitwiseCopyable {
    /// h = o∘tanh(c)
    case tanh
    /// h = o∘c, a published variant.
    case linear
  }
  /// Where a GRU's reset gate acts.
  public enum Reset: Sendable, BitwiseCopyable {
    /// On U h' + b_hh: one product serves all gates.
    case afterProduct
    /// On h': n's product waits for the gate.
    case beforeProduct
  }
  /// What a GRU's update gate z lets through.
  public enum Update: Sendable, BitwiseCopyable {
    /// h = (1 - z)∘n + z∘h'
    case keepsOld
    /// h = z∘n + (1 - z)∘h'
    case takesNew
  }

  /// The plain recurrent cell, as `RNN` describes it.
  case rnn(nonlinearity: Nonlinearity = .tanh)
  /// Long short-term memory, as `LSTM` describes it. Its slots are i f g o, and in a record c.
  case lstm(cellOutput: CellOutput = .tanh)
  /// The gated recurrent unit, as `GRU` describes it. Its slots are n r z, and U h' + b_hn or r∘h'.
  case gru(reset: Reset = .afterProduct, update: Update = .keepsOld)

  /// Without its variant, for names of files and cases.
  package var name: String {
    switch self {
    case .rnn: "rnn"
    case .lstm: "lstm"
    case .gru: "gru"
    }
  }

  /// G, as the parameters count them.
  package var gates: Int {
    switch self {
    case .rnn: 1
    case .lstm: 4
    case .gru: 3
    }
  }

  /// The slots that a call works on.
  package var slots: Int {
    switch self {
    case .rnn: 1
    case .lstm: 4
    case .gru: 4
    }
  }

  package var hasCellState: Bool { if case .lstm = self { true } else { false } }
  package var resetsBefore: Bool { if case .gru(.beforeProduct, _) = self { true } else { false } }
  package var isGRU: Bool { if case .gru = self { true } else { false } }

  /// The slots that start from a bias: all but r∘h'.
  package var biasedSlots: Int { resetsBefore ? 3 : slots }

  /// The parameters' gate at each place of W's window, which starts at slot 0.
  package var inputOrder: [Int] {
    switch self {
    case .rnn: [0]
    case .lstm: [0, 1, 2, 3]
    case .gru: [2, 0, 1]
    }
  }
  /// The first slot of U's window, whose order is that of the parameters.
  package var firstHiddenSlot: Int { isGRU ? 1 : 0 }
  /// The slots whose gradients contract with h': U's window, without n where its reset comes before the product.
  package var hiddenSlots: Range<Int> { firstHiddenSlot..<firstHiddenSlot + (resetsBefore ? 2 : gates) }
  /// The slots that backward leaves gradients in: both windows.
  package var gradientSlots: Int { resetsBefore ? 3 : slots }
  /// The slot that a gate's recurrent bias goes to where that is not the one of its input bias: the GRU's b_hn stands
  /// inside r∘(…) where the reset comes after the product.
  package func apartBiasSlot(ofGate gate: Int) -> Int? { isGRU && !resetsBefore && gate == 2 ? 3 : nil }

  /// A GRU's update.
  var update: Update { if case .gru(_, let update) = self { update } else { .keepsOld } }

  /// Whether the backward pass leaves a direct part of dh', to which the product adds.
  package var carriesDh: Bool { isGRU }
}

extension Cell: CustomStringConvertible {
  /// The cell's name, and how it differs from PyTorch's.
  public var description: String {
    switch self {
    case .rnn(let nonlinearity): nonlinearity == .relu ? "RNN with ReLU" : "RNN"
    case .lstm(let cellOutput): cellOutput == .linear ? "LSTM with linear output" : "LSTM"
    case .gru(let reset, let update):
      switch (reset, update) {
      case (.afterProduct, .keepsOld): "GRU"
      case (.beforeProduct, .keepsOld): "GRU with reset before the product"
      case (.afterProduct, .takesNew): "GRU whose update takes the new"
      case (.beforeProduct, .takesNew): "GRU with reset before the product, whose update takes the new"
      }
    }
  }
}
