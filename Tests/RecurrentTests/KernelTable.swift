import CRecurrentKernels
import Recurrent
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A scalar that has kernels.
protocol KernelScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable where RawSignificand: FixedWidthInteger {
  /// The largest error of a sum of 600 products of numbers between -1 and 1.
  static var sumTolerance: Double { get }
}
extension Float: KernelScalar { static var sumTolerance: Double { 1e-4 } }
extension Double: KernelScalar { static var sumTolerance: Double { 2e-13 } }

/// One row of the table of kernels.
struct TableRow: Sendable, CustomTestStringConvertible {
  let index: Int

  /// All rows that this processor can run.
  static let all = (0..<product_kernels_count()).map(TableRow.init).filter {
    processor_supports($0.kernels.pointee.set)
  }
  /// The rows with one of BLIS's micro-kernels.
  static let withBLIS = all.filter { $0.kernels.pointee.micro_kernel.function != nil }

  var kernels: UnsafePointer<product_kernels> { product_kernels_at(index) }
  /// Tests call their generic bodies with one of the two types, so that the compiler makes code for each: with a type
  /// chosen at run time, the tests took 60 s instead of 2.
  var isDouble: Bool { kernels.pointee.scalar == .f64 }
  /// R; `width` is P.
  var tileRows: Int { kernels.pointee.tile_rows }
  var width: Int { kernels.pointee.panel_width }
  var isFused: Bool { kernels.pointee.set != .portable }

  var testDescription: String {
    "\(String(cString: instruction_set_name(kernels.pointee.set))) \(isDouble ? "f64" : "f32"), \(tileRows) rows × \(width) units"
  }
}

/// Scalars, with the slack behind them, that end at a page that must not be touched: a kernel that reads or writes
/// behind them ends the test.
final class GuardedScalars<Scalar: KernelScalar> {
  let start: UnsafeMutablePointer<Scalar>
  let count: Int
  private let address: UnsafeMutableRawPointer
  private let bytes: Int

  init(_ count: Int, slack: Int = 0, _ value: (Int) -> Scalar) {
    let page = sysconf(Int32(_SC_PAGESIZE)), wanted = (count + slack) * MemoryLayout<Scalar>.stride
    let inside = (wanted + page - 1) / page * page
    bytes = inside + 2 * page
    address = mmap(nil, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
    mprotect(address + page, inside, PROT_READ | PROT_WRITE)
    start = (address + page + inside - wanted).bindMemory(to: Scalar.self, capacity: count + slack)
    self.count = count
    for index in 0..<count { start[index] = value(index) }
  }

  /// Random numbers as panels or row tiles, with the slack that those have.
  convenience init(tilesOf count: Int, _ random: inout SeededGenerator) {
    self.init(count, slack: Int(PRODUCT_SLACK)) { _ in Scalar.random(in: -1...1, using: &random) }
  }

  deinit { munmap(address, bytes) }

  var values: [Scalar] { Array(UnsafeBufferPointer(start: start, count: count)) }

  func set(_ values: [Scalar]) { start.update(from: values, count: count) }

  /// Whether all numbers have the same bits as `values`.
  func isIdentical(_ values: [Scalar]) -> Bool {
    count == values.count && memcmp(start, values, count * MemoryLayout<Scalar>.stride) == 0
  }
}
