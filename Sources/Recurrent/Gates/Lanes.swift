import CRecurrentKernels

/// Twice sixteen floats, with operators that are one instruction for each sixteen, of whatever instruction set the
/// calling gate pass is compiled for. Swift's own SIMD operators become sixteen scalar operations.
///
/// Two vectors side by side keep the multiply-add units busy: an activation is one long chain of dependent operations,
/// and the processor looks only some hundred instructions ahead. LSTM forward, one run: 1.36 instead of 1.69 ns a unit on AVX-512, 1.81
/// instead of 2.27 on AVX2.
struct Lanes {
  static let count = 16
  private var first: SIMD16<Float>
  private var second: SIMD16<Float>

  @inline(always) init(_ scalar: Float) {
    first = SIMD16(repeating: scalar)
    second = SIMD16(repeating: scalar)
  }
  /// From a panel [rows][P].
  @inline(always) init(_ panel: UnsafePointer<Float>, _ place: TilePlace) {
    first = UnsafeRawPointer(panel + place.first.at).loadUnaligned(as: SIMD16<Float>.self)
    second = UnsafeRawPointer(panel + place.second.at).loadUnaligned(as: SIMD16<Float>.self)
  }
  /// From a matrix by row; zero for units that do not exist, which are not read.
  @inline(always) init(rows matrix: UnsafePointer<Float>, _ stride: Int, _ place: TilePlace) {
    first = Lanes.load(matrix + place.first.inRows(stride), place.first.count)
    second = Lanes.load(matrix + place.second.inRows(stride), place.second.count)
  }
  @inline(always) private static func load(_ source: UnsafePointer<Float>, _ count: Int) -> SIMD16<Float> {
    if count >= Lanes.count { return UnsafeRawPointer(source).loadUnaligned(as: SIMD16<Float>.self) }
    var part = SIMD16<Float>(repeating: 0)
    lanes_load_part(&part, source, count)
    return part
  }

  /// To a panel [rows][P].
  @inline(always) func store(_ panel: UnsafeMutablePointer<Float>, _ place: TilePlace) {
    UnsafeMutableRawPointer(panel + place.first.at).storeBytes(of: first, as: SIMD16<Float>.self)
    UnsafeMutableRawPointer(panel + place.second.at).storeBytes(of: second, as: SIMD16<Float>.self)
  }
  /// To a matrix by row, but for units that do not exist.
  @inline(always) func store(rows matrix: UnsafeMutablePointer<Float>, _ stride: Int, _ place: TilePlace) {
    Lanes.store(first, matrix + place.first.inRows(stride), place.first.count)
    Lanes.store(second, matrix + place.second.inRows(stride), place.second.count)
  }
  @inline(always) private static func store(
    _ values: SIMD16<Float>, _ target: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    if count >= Lanes.count {
      UnsafeMutableRawPointer(target).storeBytes(of: values, as: SIMD16<Float>.self)
    } else {
      var part = values
      lanes_store_part(target, &part, count)
    }
  }

  @inline(always) static func + (a: Lanes, b: Lanes) -> Lanes {
    var a = a, b = b
    lanes_add(&a.first, &b.first)
    lanes_add(&a.second, &b.second)
    return a
  }
  @inline(always) static func - (a: Lanes, b: Lanes) -> Lanes {
    var a = a, b = b
    lanes_sub(&a.first, &b.first)
    lanes_sub(&a.second, &b.second)
    return a
  }
  @inline(always) static func * (a: Lanes, b: Lanes) -> Lanes {
    var a = a, b = b
    lanes_mul(&a.first, &b.first)
    lanes_mul(&a.second, &b.second)
    return a
  }
  @inline(always) static func / (a: Lanes, b: Lanes) -> Lanes {
    var a = a, b = b
    lanes_div(&a.first, &b.first)
    lanes_div(&a.second, &b.second)
    return a
  }

  /// self + a · b
  @inline(always) func adding(_ a: Lanes, times b: Lanes) -> Lanes {
    var sum = self, a = a, b = b
    lanes_muladd(&sum.first, &a.first, &b.first)
    lanes_muladd(&sum.second, &a.second, &b.second)
    return sum
  }
  /// self - a · b
  @inline(always) func subtracting(_ a: Lanes, times b: Lanes) -> Lanes {
    var sum = self, a = a, b = b
    lanes_mulsub(&sum.first, &a.first, &b.first)
    lanes_mulsub(&sum.second, &a.second, &b.second)
    return sum
  }
  /// A NaN stays a NaN.
  @inline(always) func atMost(_ limit: Float) -> Lanes {
    var a = self, limit = Lanes(limit)
    lanes_at_most(&a.first, &limit.first)
    lanes_at_most(&a.second, &limit.second)
    return a
  }
  /// `self` in the lanes where `x > 0`, `other` elsewhere.
  @inline(always) func kept(wherePositive x: Lanes, else other: Lanes) -> Lanes {
    var a = self, x = x, other = other
    lanes_keep_where_positive(&a.first, &x.first, &other.first)
    lanes_keep_where_positive(&a.second, &x.second, &other.second)
    return a
  }
  @inline(always) var magnitude: Lanes {
    var a = self
    lanes_magnitude(&a.first)
    lanes_magnitude(&a.second)
    return a
  }
  /// `self`, which is not negative, with the sign of `other`.
  @inline(always) func withSign(of other: Lanes) -> Lanes {
    var a = self, b = other
    lanes_add_sign(&a.first, &b.first)
    lanes_add_sign(&a.second, &b.second)
    return a
  }
  /// 2^n of lanes that hold 1.5·2^23 + 127 + n.
  @inline(always) var exp2OfShifted: Lanes {
    var a = self
    lanes_exp2_of_shifted(&a.first)
    lanes_exp2_of_shifted(&a.second)
    return a
  }
}

/// Where two times sixteen units of a gate tile lie.
struct TilePlace {
  struct Sixteen {
    /// In a panel of P units a row.
    let at: Int
    let row: Int
    let unit: Int
    /// How many units exist from there on; sixteen or more: all.
    let count: Int

    /// In a matrix by row.
    @inline(always) func inRows(_ stride: Int) -> Int { row &* stride &+ unit }
  }
  var first: Sixteen
  var second: Sixteen
}

/// Walks over a gate tile, two times sixteen units at a time. Where one is left at the end it stands twice: what is
/// computed from it is stored twice. A closure would not be inlined into the gate pass.
struct TileWalk {
  private let tile: gate_tile
  private var row = 0
  private var unit = 0

  @inline(always) init(_ tile: gate_tile) { self.tile = tile }

  @inline(always) mutating func next() -> TilePlace? {
    guard row < tile.rows else { return nil }
    let first = here
    advance()
    guard row < tile.rows else { return TilePlace(first: first, second: first) }
    let second = here
    advance()
    return TilePlace(first: first, second: second)
  }

  @inline(always) private var here: TilePlace.Sixteen {
    TilePlace.Sixteen(at: row &* tile.width &+ unit, row: row, unit: unit, count: tile.units &- unit)
  }

  @inline(always) private mutating func advance() {
    unit &+= Lanes.count
    if unit >= tile.units {
      unit = 0
      row &+= 1
    }
  }
}
