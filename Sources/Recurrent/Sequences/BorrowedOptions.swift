/// `CallOptions` whose lengths and resets are in the caller's memory, so that those of a C program are not copied.
package struct BorrowedOptions: BitwiseCopyable {
  /// [N]
  package var lengths: UnsafeBufferPointer<Int>?
  /// [T,N]: nonzero if the state before that step is zero.
  package var resets: UnsafeBufferPointer<UInt8>?
  package var xLayout: Layout
  package var yLayout: Layout
  package var dropout: RecordDropout

  package init(
    lengths: UnsafeBufferPointer<Int>?, resets: UnsafeBufferPointer<UInt8>?, xLayout: Layout, yLayout: Layout,
    dropout: RecordDropout
  ) {
    self.lengths = lengths
    self.resets = resets
    self.xLayout = xLayout
    self.yLayout = yLayout
    self.dropout = dropout
  }
}

extension CallOptions {
  /// Calls `body` with these options. Lengths and resets are in the memory of the arrays.
  func borrowed<Result>(
    _ body: (BorrowedOptions) throws(RecurrentError) -> Result
  ) throws(RecurrentError) -> Result {
    var options = BorrowedOptions(lengths: nil, resets: nil, xLayout: xLayout, yLayout: yLayout, dropout: dropout)
    if lengths == nil, resets == nil { return try body(options) }
    return try (lengths ?? []).withUnsafeBufferPointer { lengths throws(RecurrentError) in
      try (resets ?? []).withUnsafeBufferPointer { resets throws(RecurrentError) in
        if self.lengths != nil { options.lengths = lengths }
        // A Bool is one byte in memory, 0 or 1.
        return try resets.withMemoryRebound(to: UInt8.self) { resets throws(RecurrentError) in
          if self.resets != nil { options.resets = resets }
          return try body(options)
        }
      }
    }
  }
}
