import Recurrent

/// The memory that modules use again from call to call, and how they run. Only one thread at a time may use it.
///
/// While it trains, layers read and write denormal numbers as zero.
public final class Workspace {
  /// Whether modules keep what `backward` needs and drop values. If not, they only compute their outputs.
  public var isTraining: Bool
  /// The seed of all dropout masks.
  public let seed: UInt64
  /// The number of masks that were drawn so far. Each call that drops values takes the next number, so equal numbers
  /// give equal masks, and a training that was saved with this number goes on with the same ones.
  public var masks: Int
  /// The sequences of a larger batch that the next calls compute, so that they have the dropout masks of the same
  /// sequences in the whole batch; nil if they are a batch of their own. Where a module puts the sequences of a batch
  /// together in another way, as `HierarchicalEncoder`, the masks depend on the shares.
  public var share: BatchShare?
  /// The working memory of modules, with the threads that layers, dense products and attentions run on.
  public let scratch: Scratch<Float>
  private var records: [Record<Float>] = []
  /// The first parameter of the innermost part whose forward failed.
  private var failure: UnsafePointer<Float>?
  /// How many modules are running, each inside the one before.
  private var depth = 0

  /// - Parameters:
  ///   - isTraining: can be changed later.
  ///   - seed: of all dropout masks.
  ///   - masks: the number of masks that were drawn before, in a training that was saved.
  ///   - threads: a pool that layers and dense products run on if there is enough work, and attentions always; by
  ///     default, only the caller's thread.
  public init(isTraining: Bool = true, seed: UInt64 = 0, masks: Int = 0, threads: Threads? = nil) {
    self.isTraining = isTraining
    self.seed = seed
    self.masks = masks
    scratch = Scratch(threads: threads)
  }

  /// A record that no trace holds any more, or a new one.
  func takeRecord() -> Record<Float> { records.popLast() ?? Record() }
  /// Keeps a record that `backward` has consumed, for the next call.
  func giveBack(_ record: Record<Float>) { records.append(record) }

  /// The seed of the next dropout mask.
  func nextMask() -> DropoutSeed {
    defer { masks &+= 1 }
    // The step between two seeds is odd and has no pattern, so seeds that users choose do not meet each other's masks.
    return DropoutSeed(
      seed &+ UInt64(bitPattern: Int64(masks)) &* 0x9e37_79b9_7f4a_7c15,
      firstSequence: share?.sequences.lowerBound ?? 0)
  }

  // MARK: - Names of parts in errors

  /// Runs the forward of a part and remembers the part if it fails. The part is known by the place of its first
  /// parameter, because a part is a value and has no identity.
  func naming<Result>(
    _ part: some Parameterized, _ body: () throws(RecurrentError) -> Result
  ) throws(RecurrentError) -> Result {
    do throws(RecurrentError) { return try body() } catch {
      if failure == nil { failure = part.firstParameter }
      throw error
    }
  }

  /// Runs the forward of a module. The outermost module puts the name of the part that failed before the error.
  func namingParts<Result>(
    of module: some Module, _ body: () throws(RecurrentError) -> Result
  ) throws(RecurrentError) -> Result {
    if depth == 0 { failure = nil }
    depth += 1
    defer { depth -= 1 }
    do throws(RecurrentError) { return try body() } catch {
      guard depth == 1, let failure, let name = try module.part(at: failure) else { throw error }
      throw .part(name, error)
    }
  }
}

extension Parameterized {
  fileprivate var firstParameter: UnsafePointer<Float>? {
    var first: UnsafePointer<Float>?
    readParameters { if first == nil { first = $0.baseAddress } }
    return first
  }

  /// The name of the innermost part whose first parameter is at an address; nil if there is none.
  ///
  /// - Throws: `RecurrentError` if the list of parts is wrong, which then explains the failure better.
  fileprivate func part(at address: UnsafePointer<Float>) throws(RecurrentError) -> String? {
    var place = 0, found: Int?
    readParameters { values in
      if values.baseAddress == address { found = place }
      place += values.count
    }
    guard let found else { return nil }
    return try ParameterList(self).part(at: found)
  }
}

extension ParameterList {
  /// The name of the innermost part that has the value at a place of the flat array; nil if no part has it.
  fileprivate func part(at place: Int) -> String? {
    for part in parts where (part.offset..<part.offset + part.list.count).contains(place) {
      guard let inner = part.list.part(at: place - part.offset) else { return part.name }
      return part.name.isEmpty ? inner : "\(part.name).\(inner)"
    }
    return nil
  }
}
