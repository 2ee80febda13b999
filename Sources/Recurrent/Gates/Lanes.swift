import CRecurrentKernels

/// Sixteen floats that one instruction handles, with operators that stay one instruction of whatever instruction set
/// the calling gate pass is compiled for. Swift's own SIMD operators become sixteen scalar operations.
struct Lanes {
  static let count = 16
  var values: SIMD16<Float>

  @inline(always) init(_ scalar: Float) { values = SIMD16(repeating: scalar) }
  @inline(always) init(_ source: UnsafePointer<Float>) {
    values = UnsafeRawPointer(source).loadUnaligned(as: SIMD16<Float>.self)
  }
  /// The first `count` of sixteen floats, zero behind them; nothing else is read.
  @inline(always) init(_ source: UnsafePointer<Float>, count: Int) {
    if count >= Lanes.count {
      values = UnsafeRawPointer(source).loadUnaligned(as: SIMD16<Float>.self)
    } else {
      var part = SIMD16<Float>(repeating: 0)
      lanes_load_part(&part, source, count)
      values = part
    }
  }

  @inline(always) func store(_ target: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(target).storeBytes(of: values, as: SIMD16<Float>.self)
  }
  /// Stores the first `count` lanes and nothing else.
  @inline(always) func store(_ target: UnsafeMutablePointer<Float>, count: Int) {
    if count >= Lanes.count {
      store(target)
    } else {
      var part = values
      lanes_store_part(target, &part, count)
    }
  }

  @inline(always) static func + (a: Lanes, b: Lanes) -> Lanes { var a = a, b = b; lanes_add(&a, &b); return a }
  @inline(always) static func - (a: Lanes, b: Lanes) -> Lanes { var a = a, b = b; lanes_sub(&a, &b); return a }
  @inline(always) static func * (a: Lanes, b: Lanes) -> Lanes { var a = a, b = b; lanes_mul(&a, &b); return a }
  @inline(always) static func / (a: Lanes, b: Lanes) -> Lanes { var a = a, b = b; lanes_div(&a, &b); return a }

  /// self + a · b
  @inline(always) func adding(_ a: Lanes, times b: Lanes) -> Lanes {
    var sum = self, a = a, b = b
    lanes_muladd(&sum, &a, &b)
    return sum
  }
  /// self - a · b
  @inline(always) func subtracting(_ a: Lanes, times b: Lanes) -> Lanes {
    var sum = self, a = a, b = b
    lanes_mulsub(&sum, &a, &b)
    return sum
  }
  /// A NaN stays a NaN.
  @inline(always) func atMost(_ limit: Float) -> Lanes {
    var a = self, limit = Lanes(limit)
    lanes_at_most(&a, &limit)
    return a
  }
  /// `self` in the lanes where `x > 0`, `other` elsewhere.
  @inline(always) func kept(wherePositive x: Lanes, else other: Lanes) -> Lanes {
    var a = self, x = x, other = other
    lanes_keep_where_positive(&a, &x, &other)
    return a
  }
  @inline(always) var magnitude: Lanes { var a = self; lanes_magnitude(&a); return a }
  /// `self`, which is not negative, with the sign of `other`.
  @inline(always) func withSign(of other: Lanes) -> Lanes {
    var a = self, b = other
    lanes_add_sign(&a, &b)
    return a
  }
  /// 2^n of lanes that hold 1.5·2^23 + 127 + n.
  @inline(always) var exp2OfShifted: Lanes { var a = self; lanes_exp2_of_shifted(&a); return a }
}

/// Walks over a gate tile, sixteen units of one row at a time. A closure would not be inlined into the gate pass.
struct TileWalk {
  private let tile: gate_tile
  private var row = 0
  private var unit = 0

  @inline(always) init(_ tile: gate_tile) { self.tile = tile }

  /// The next units' place in a panel of P units a row, their place in a matrix by row, and how many units exist from
  /// there on (sixteen or more: all of them do).
  @inline(always) mutating func next() -> (at: Int, inRow: Int, count: Int)? {
    if unit >= tile.units {
      unit = 0
      row &+= 1
    }
    guard row < tile.rows else { return nil }
    let place = (row &* tile.width &+ unit, row &* tile.row_stride &+ unit, tile.units &- unit)
    unit &+= Lanes.count
    return place
  }
}
