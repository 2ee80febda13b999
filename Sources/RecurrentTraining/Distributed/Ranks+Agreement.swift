import Recurrent

extension Ranks {
  /// Checks that all ranks have the same values.
  ///
  /// - Parameter values: such as settings, with their names.
  /// - Throws: `RecurrentError.rank` on all ranks if one differs from rank 0; it names the first value that does.
  public func check(_ values: KeyValuePairs<String, String>) throws {
    try check(Array(values).map { Entry(name: $0.key, value: $0.value) })
  }

  /// Checks that all ranks have models of the same shapes with the same values, as they must have after the same
  /// updates.
  ///
  /// - Throws: `RecurrentError.rank` on all ranks if one differs from rank 0; it names the first parameter that does.
  public func check(_ model: some Parameterized) throws {
    guard count > 1 else { return }
    try checkShapes(try ParameterList(checking: model).shapes)
    try check(
      model.namedParameters().map { parameter in
        var print = Fingerprint()
        for value in parameter.values { print.add(UInt64(value.bitPattern)) }
        return Entry(name: "the fingerprint of \(parameter.name)", value: String(print.hash, radix: 16))
      })
  }

  /// Gives a model of all ranks the parameters of rank 0.
  ///
  /// - Throws: `RecurrentError.rank` on all ranks if the models are not of the same shapes; nothing has changed then.
  public func broadcast(_ model: inout some Parameterized) throws {
    guard count > 1 else { return }
    let shapes = try ParameterList(checking: model).shapes
    _ = try meet(Notice(.broadcast))
    try checkShapes(shapes)
    var failure: RecurrentError?
    model.updateParameters { values in
      guard failure == nil else { return }
      do throws(RecurrentError) { try broadcast(UnsafeMutableRawBufferPointer(values), from: 0) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// Adds numbers of all ranks, in the order of the ranks.
  ///
  /// - Parameter values: as many on every rank.
  /// - Returns: the sums, with the same bits on all ranks.
  /// - Throws: `RecurrentError.rank` on all ranks if a count differs from that of rank 0.
  public func sum(_ values: [Double]) throws -> [Double] {
    var notice = Notice(.sum)
    notice.fingerprint = UInt64(values.count)
    let notices = try meet(notice)
    if let other = notices.firstIndex(where: { $0.fingerprint != notices[0].fingerprint }) {
      throw end(
        other, "adds \(notices[other].fingerprint) numbers, expected \(notices[0].fingerprint), as rank 0 does")
    }
    // Each rank's bits have a place of their own, so their union is a list of all numbers.
    var all = [UInt64](repeating: 0, count: values.count * count)
    for (index, value) in values.enumerated() { all[rank * values.count + index] = value.bitPattern }
    try unite(&all)
    return values.indices.map { index in
      (0..<count).reduce(0) { $0 + Double(bitPattern: all[$1 * values.count + index]) }
    }
  }

  /// A value that must be equal on all ranks.
  struct Entry: Equatable {
    let name: String, value: String
  }

  func checkShapes(_ shapes: [ParameterShape]) throws {
    try check(
      shapes.enumerated().map { Entry(name: "parameter \($0 + 1)", value: $1.description) })
  }

  /// If the fingerprints differ, every rank gets rank 0's values and looks for its first difference.
  func check(_ entries: [Entry]) throws {
    guard count > 1 else { return }
    var print = Fingerprint()
    for entry in entries {
      print.add(entry.name)
      print.add(entry.value)
    }
    var notice = Notice(.check)
    notice.fingerprint = print.hash
    let notices = try meet(notice)
    guard notices.contains(where: { $0.fingerprint != notices[0].fingerprint }) else { return }
    let names = try broadcast(entries.map(\.name)), values = try broadcast(entries.map(\.value))
    let first = zip(names, values).map { Entry(name: $0, value: $1) }
    _ = try meet(Notice(.check), difference(entries, first))
    throw end(0, "the fingerprints differ, expected equal ones")
  }

  /// What is not as on rank 0.
  private func difference(_ own: [Entry], _ first: [Entry]) -> RecurrentError? {
    for (index, (mine, other)) in zip(own, first).enumerated() where mine != other {
      return mine.name == other.name
        ? .value(name: mine.name, was: mine.value, expected: "\(other.value), as on rank 0")
        : .value(name: "value \(index + 1)", was: mine.name, expected: "\(other.name), as on rank 0")
    }
    let shared = min(own.count, first.count)
    if own.count > shared {
      return .value(name: own[shared].name, was: own[shared].value, expected: "none: rank 0 has no such value")
    }
    if first.count > shared {
      return .value(name: first[shared].name, was: "missing", expected: "\(first[shared].value), as on rank 0")
    }
    return nil
  }

  // MARK: - Texts

  func broadcast(_ bytes: inout [UInt8], from rank: Int) throws(RecurrentError) {
    try bytes.withUnsafeMutableBufferPointer { bytes throws(RecurrentError) in
      try broadcast(UnsafeMutableRawBufferPointer(bytes), from: rank)
    }
  }

  /// Rank 0's texts.
  private func broadcast(_ texts: [String]) throws(RecurrentError) -> [String] {
    var bytes = Array(texts.map { $0 + "\0" }.joined().utf8), count = [rank == 0 ? UInt64(bytes.count) : 0]
    try unite(&count)
    if rank > 0 { bytes = [UInt8](repeating: 0, count: Int(count[0])) }
    try broadcast(&bytes, from: 0)
    return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
      String(decoding: $0, as: UTF8.self)
    }
  }
}
