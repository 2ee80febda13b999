import CRecurrentKernels

/// The panels of a gate tile that hold one slot or one state: a panel [rows][P] for each block.
struct Panels<E: LaneElement> {
  private let start: UnsafeMutablePointer<E>
  private let blockStride: Int

  @inline(always) init(_ start: UnsafeMutableRawPointer, blockStride: Int) {
    self.start = start.assumingMemoryBound(to: E.self)
    self.blockStride = blockStride
  }

  @inline(always) subscript(_ place: TilePlace<E>) -> E.Pair {
    get { E.Pair(E.Pair.Vector(at: at(place.first)), E.Pair.Vector(at: at(place.second))) }
    nonmutating set {
      newValue.first.store(at: at(place.first))
      newValue.second.store(at: at(place.second))
    }
  }

  @inline(always) private func at(_ place: TilePlace<E>.VectorPlace) -> UnsafeMutablePointer<E> {
    start + (place.block &* blockStride &+ place.at)
  }
}

/// A matrix [rows][H] whose rows lie at a stride. A gate tile reads or writes some of its units. Units that do not
/// exist read as zero, and their memory is not touched.
struct RowMatrix<E: LaneElement> {
  private let start: UnsafeMutablePointer<E>
  private let stride: Int

  @inline(always) init?(_ start: UnsafeMutableRawPointer?, stride: Int) {
    guard let start else { return nil }
    self.start = start.assumingMemoryBound(to: E.self)
    self.stride = stride
  }
  /// A matrix that is only read.
  @inline(always) init?(reading start: UnsafeRawPointer?, stride: Int) {
    self.init(UnsafeMutableRawPointer(mutating: start), stride: stride)
  }

  @inline(always) subscript(_ place: TilePlace<E>) -> E.Pair {
    get { E.Pair(load(place.first), load(place.second)) }
    nonmutating set {
      store(newValue.first, place.first)
      store(newValue.second, place.second)
    }
  }

  @inline(always) private func load(_ place: TilePlace<E>.VectorPlace) -> E.Pair.Vector {
    let source = start + (place.row &* stride &+ place.unit)
    return place.count >= E.laneCount ? E.Pair.Vector(at: source) : E.Pair.Vector(partAt: source, place.count)
  }
  @inline(always) private func store(_ values: E.Pair.Vector, _ place: TilePlace<E>.VectorPlace) {
    let target = start + (place.row &* stride &+ place.unit)
    if place.count >= E.laneCount {
      values.store(at: target)
    } else {
      values.storePart(at: target, place.count)
    }
  }
}

/// A vector with one value for each unit, which every row of a gate tile reads.
struct UnitVector<E: LaneElement> {
  private let start: UnsafePointer<E>

  @inline(always) init?(_ start: UnsafeRawPointer?) {
    guard let start else { return nil }
    self.start = start.assumingMemoryBound(to: E.self)
  }

  @inline(always) subscript(_ place: TilePlace<E>) -> E.Pair {
    E.Pair(E.Pair.Vector(at: start + place.first.unit), E.Pair.Vector(at: start + place.second.unit))
  }
}

/// The gradient of a vector with one value for each unit. Every row of a gate tile adds to it.
struct UnitVectorGradient<E: LaneElement> {
  private let start: UnsafeMutablePointer<E>

  @inline(always) init?(_ start: UnsafeMutableRawPointer?) {
    guard let start else { return nil }
    self.start = start.assumingMemoryBound(to: E.self)
  }

  /// Adds a·b. If a place holds the same units of two rows, they are added one after the other, in ascending rows. If
  /// it holds one vector twice, the vector is added once.
  @inline(always) func add(_ a: E.Pair, times b: E.Pair, _ place: TilePlace<E>) {
    add(a.first, b.first, place.first.unit)
    if place.second.differs(from: place.first) { add(a.second, b.second, place.second.unit) }
  }
  @inline(always) private func add(_ a: E.Pair.Vector, _ b: E.Pair.Vector, _ unit: Int) {
    E.Pair.Vector(at: start + unit).adding(a, times: b).store(at: start + unit)
  }
}
