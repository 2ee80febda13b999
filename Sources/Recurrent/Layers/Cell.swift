/// Which recurrent cell, and what follows from it for memory and products.
///
/// The record keeps each gate of a cell in a slot. W and U each feed a window of neighbouring slots, which is also the
/// window of gradients that their backward products read.
public enum Cell: Equatable, Sendable, BitwiseCopyable {
  /// h = tanh(W x + U h' + b), or ReLU instead of tanh.
  case rnn(relu: Bool)
  /// Slots i f g o, and in a record c. h = o∘tanh(c), or o∘c.
  case lstm(linearOutput: Bool)
  /// Slots n r z, and U h' + b_hn or r∘h'.
  case gru(resetBefore: Bool, zTakesNew: Bool)

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
  package var resetsBefore: Bool { if case .gru(true, _) = self { true } else { false } }
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
  /// The slot that a gate's recurrent bias goes to where that is not the one of its input bias: the GRU's b_hn stands
  /// inside r∘(…) where the reset comes after the product.
  package func apartBiasSlot(ofGate gate: Int) -> Int? { isGRU && !resetsBefore && gate == 2 ? 3 : nil }

  /// The gate passes' option.
  package var option: Bool {
    switch self {
    case .rnn(let relu): relu
    case .lstm(let linearOutput): linearOutput
    case .gru(_, let zTakesNew): zTakesNew
    }
  }

  /// Whether the backward pass leaves a direct part of dh', to which the product adds.
  package var carriesDh: Bool { isGRU }
}
