// swift-tools-version: 6.2
import PackageDescription

// A client's debug build keeps fast kernels. `-wmo` belongs to it: the SIMD helpers must
// be inlined across files, since no vector may cross a call between instruction sets. Several threads give it an object
// a file, which SwiftPM's indexing asks for.
let fastInDebug: [SwiftSetting] = [
  .unsafeFlags(["-O", "-wmo", "-num-threads", "2", "-disable-batch-mode"], .when(configuration: .debug))
]

let package = Package(
  name: "swift-recurrent",
  products: [
    .library(name: "Recurrent", targets: ["Recurrent"]),
    .library(name: "RecurrentFiles", targets: ["RecurrentFiles"]),
    .library(name: "RecurrentTraining", targets: ["RecurrentTraining"]),
    .executable(name: "recurrent", targets: ["recurrent-tool"]),
    .executable(name: "recurrent-bench", targets: ["recurrent-bench"]),
  ],
  targets: [
    // MARK: - Kernels
    .target(
      name: "CRecurrentKernels",
      path: "CKernels",
      cSettings: [
        .headerSearchPath("blis/include"),
        .headerSearchPath("."),
        .unsafeFlags(["-O3"], .when(configuration: .debug)),
      ],
      linkerSettings: [
        // By file name, hence statically: the sub-configurations' kernels are then reachable and readable in a profile.
        .linkedLibrary(":libblis.a", .when(platforms: [.linux])),
        .linkedLibrary("gomp", .when(platforms: [.linux])),
        .linkedLibrary("pthread", .when(platforms: [.linux])),
        .linkedLibrary("m", .when(platforms: [.linux])),
      ]
    ),

    // MARK: - Libraries
    .target(name: "Recurrent", dependencies: ["CRecurrentKernels"], swiftSettings: fastInDebug),
    .target(name: "RecurrentFiles", dependencies: ["Recurrent"], swiftSettings: fastInDebug),
    .target(
      name: "RecurrentTraining", dependencies: ["Recurrent", "CRecurrentKernels"], swiftSettings: fastInDebug),

    // MARK: - Tools
    .target(name: "CToolSupport"),
    .target(name: "ToolSupport", dependencies: ["CToolSupport"]),
    .executableTarget(
      name: "recurrent-tool",
      dependencies: ["Recurrent", "RecurrentFiles", "RecurrentTraining", "ToolSupport"],
      path: "Sources/recurrent"
    ),
    .executableTarget(
      name: "recurrent-bench",
      dependencies: ["Recurrent", "RecurrentTraining", "CRecurrentKernels", "ToolSupport"],
      path: "Benchmarks/recurrent-bench"
    ),

    // MARK: - Tests
    .target(name: "CTestSupport", path: "Tests/CTestSupport"),
    .testTarget(
      name: "RecurrentTests", dependencies: ["Recurrent", "RecurrentFiles", "CRecurrentKernels", "CTestSupport"],
      exclude: ["Goldens"]),
    .testTarget(name: "RecurrentFilesTests", dependencies: ["Recurrent", "RecurrentFiles"]),
    .testTarget(name: "RecurrentTrainingTests", dependencies: ["Recurrent", "RecurrentTraining", "CRecurrentKernels"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
