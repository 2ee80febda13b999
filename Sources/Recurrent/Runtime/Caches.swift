#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension Processor {
  /// The size in bytes of a core's second cache, which is asked for only once. If the system does not know the size, or
  /// gives one that no core has, it is a size that most cores have.
  package static let secondCache: Int = {
    for size in [secondCacheOfLibrary, secondCacheOfKernel] where (1 << 17...1 << 23).contains(size) { return size }
    return 1 << 20
  }()

  /// The size that glibc reads from the processor; 0 if it cannot.
  private static var secondCacheOfLibrary: Int {
    #if canImport(Glibc)
      return sysconf(Int32(_SC_LEVEL2_CACHE_SIZE))
    #else
      return 0
    #endif
  }

  /// The size that Linux gives for the first core, in a text such as "1280K"; 0 if there is none.
  private static var secondCacheOfKernel: Int {
    guard let file = fopen("/sys/devices/system/cpu/cpu0/cache/index2/size", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 32)
    guard fgets(&text, 32, file) != nil else { return 0 }
    return bytes(ofCacheSize: String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
  }

  /// The bytes of a size as Linux writes it, "1280K" or "2M"; 0 for any other text.
  package static func bytes(ofCacheSize text: String) -> Int {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let unit =
      switch text.dropFirst(digits.count).prefix(1) {
      case "K": 1 << 10
      case "M": 1 << 20
      default: 0
      }
    return Int(digits)?.multipliedReportingOverflow(by: unit).partialValue ?? 0
  }
}
