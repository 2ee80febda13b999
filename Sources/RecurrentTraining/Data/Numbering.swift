/// Symbols and their numbers, which follow each other.
struct Numbering<Symbol: Hashable & Sendable>: Sendable, Equatable {
  /// In the order of their numbers.
  let symbols: [Symbol]
  /// The number of the first symbol.
  let first: Int
  private let numbers: [Symbol: Int]

  /// If a symbol comes twice, it has the first number.
  init(_ symbols: [Symbol], from first: Int) {
    self.symbols = symbols
    self.first = first
    numbers = Dictionary(zip(symbols, first...), uniquingKeysWith: { number, _ in number })
  }

  /// The number of a symbol; nil if it has none.
  func number(of symbol: Symbol) -> Int? { numbers[symbol] }

  /// The symbol of a number; nil if there is none.
  func symbol(_ number: Int) -> Symbol? {
    number >= first && number - first < symbols.count ? symbols[number - first] : nil
  }
}
