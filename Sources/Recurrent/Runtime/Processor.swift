import CRecurrentKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// This processor, and the kernels that were chosen for it.
///
/// A layer uses `active` unless its options name another instruction set, so one process can run them all.
public enum Processor {
  /// The processor's own name.
  public static let name: String = {
    let bytes = [CChar](unsafeUninitializedCapacity: 49) { buffer, count in
      processor_brand(buffer.baseAddress!)
      count = 49
    }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }()

  /// The instruction sets that processor and operating system support, in ascending order.
  public static let available = InstructionSet.allCases.filter { processor_supports($0.kernelSet) }

  /// Those that have code of their own for numbers that are not rounded.
  package static let setsOfFloats = available.filter { $0.kernelSet == $0.floatSet }

  /// The environment variable that names the instruction set to use instead of the best one.
  public static let environmentVariable = "RECURRENT_FORCE_ISA"

  /// The instruction set of layers that do not name one: the best available, or what `RECURRENT_FORCE_ISA` names.
  ///
  /// - Throws: `RecurrentError.instructionSet` if the variable names an instruction set that does not exist or that the
  ///   processor lacks. The error then contains the variable's name too.
  public static var active: InstructionSet {
    get throws(RecurrentError) { try choice.get() }
  }

  /// What the environment variable names; nil if it is not set or empty. It is read only once, because other threads
  /// may change the environment.
  private static let forced: String? = {
    guard let value = getenv(environmentVariable), value.pointee != 0 else { return nil }
    return String(cString: value)
  }()

  private static let choice: Result<InstructionSet, RecurrentError> = {
    guard let forced else { return .success(available.last ?? .portable) }
    do throws(RecurrentError) { return .success(try check(forced, available: available)) } catch {
      return .failure(.instructionSet(requested: "\(environmentVariable)=\(forced)", available: available))
    }
  }()

  /// An instruction set by its name.
  package static func check(
    _ requested: String, available: [InstructionSet]
  ) throws(RecurrentError) -> InstructionSet {
    guard let set = InstructionSet(rawValue: requested), available.contains(set) else {
      throw .instructionSet(requested: requested, available: available)
    }
    return set
  }

  /// The kernels of an instruction set, or of the active one, for floats or another scalar.
  package static func kernels(
    _ requested: InstructionSet?, scalar: scalar_type = .f32
  ) throws(RecurrentError) -> UnsafePointer<product_kernels> {
    product_kernels_for(try check(requested).floatSet, scalar)
  }

  /// An instruction set that the processor has, or the active one.
  package static func check(_ requested: InstructionSet?) throws(RecurrentError) -> InstructionSet {
    guard let requested else { return try active }
    return try check(requested.rawValue, available: available)
  }

  /// BLIS's version; nil if the package runs without BLIS.
  public static var blisVersion: String? {
    product_kernels_for(.portable, .f32).pointee.blis_version.map { String(cString: $0) }
  }

  /// The sub-configuration of BLIS whose micro-kernel multiplies full tiles on an instruction set; nil if the package's
  /// own kernel does, as on AVX2.
  ///
  /// - Throws: `RecurrentError.instructionSet` if the processor lacks it.
  public static func subConfiguration(_ set: InstructionSet? = nil) throws(RecurrentError) -> String? {
    try kernels(set).pointee.sub_configuration.map { String(cString: $0) }
  }

  /// One line that says which kernels run here and why. Every report of the benchmark starts with it.
  public static var description: String {
    do {
      let set = try active
      let kernels = try kernels(set).pointee
      let reason = forced == nil ? "" : ", forced by \(environmentVariable)"
      let blis = blisVersion.map { "BLIS \($0)" } ?? "no BLIS"
      let part = kernels.sub_configuration.map { " \(String(cString: $0))" } ?? ""
      return
        "\(name); \(set.rawValue)\(reason) (has \(available.map(\.rawValue).joined(separator: ", "))); \(blis)\(part), "
        + "tiles of \(kernels.tile_rows) rows × \(kernels.panel_width) units (\(String(cString: kernels.reason)))"
    } catch {
      return "\(name); \(error)"
    }
  }
}
