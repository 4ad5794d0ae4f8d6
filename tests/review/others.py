"""Ways in which a change of JavaScript, Go or Rust bends its checks, each as one file before and after; lines are all that is read."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HONEST", "WAYS", "Way"]

JS = """import { test, expect } from 'vitest'
import { add } from './add'

describe('sums', () => {
  it('adds two numbers', () => {
    expect(add(1, 2)).toBe(3)
  })

  test('adds nothing', () => {
    expect(add(1, 0)).toBe(1)
  })
})
"""
GO = """package calc

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAdd(t *testing.T) {
	assert.Equal(t, 3, Add(1, 2))
}

func TestNothing(t *testing.T) {
	if got := Add(1, 0); got != 1 {
		t.Fatalf("got %d", got)
	}
}

func helper(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("got %d", got)
	}
}
"""
RUST = """use calc::add;

#[test]
fn adds_two_numbers() {
    assert_eq!(add(1, 2), 3);
}

#[test]
fn adds_nothing() {
    assert_eq!(add(1, 0), 1);
}
"""
JEST = """module.exports = {
  testEnvironment: 'node',
  testMatch: ['**/*.test.js'],
  coverageThreshold: { global: { branches: 90, lines: 90 } },
}
"""
VITEST = """import { defineConfig } from 'vitest/config'
export default defineConfig({
  test: { coverage: { thresholds: { lines: 90 } } },
})
"""
PACKAGE = """{
  "name": "sums",
  "scripts": {"test": "jest", "lint": "eslint --max-warnings 0 ."},
  "jest": {"testMatch": ["**/*.test.js"], "coverageThreshold": {"global": {"lines": 90}}}
}
"""
CARGO = """[package]
name = "calc"
version = "0.1.0"

[lib]
path = "src/lib.rs"

[[test]]
name = "sums"
path = "tests/sums.rs"
"""


class Way(NamedTuple):
    """The file *path*, *before* ("": not there) and *after* (None: gone), and the kinds of which one has to be told."""

    path: str
    before: str
    after: str | None
    kinds: tuple[str, ...]
    command: str = ""


SKIP, EMPTY, WEAK = ("test skipped",), ("test emptied",), ("test emptied", "test weakened")
CHECK, LOW = ("check disabled", "threshold lowered"), ("threshold lowered",)


def js(old: str, new: str, kinds: tuple[str, ...], path: str = "src/add.test.js") -> Way:
    assert old in JS
    return Way(path, JS, JS.replace(old, new, 1), kinds)


def go(old: str, new: str, kinds: tuple[str, ...]) -> Way:
    assert old in GO
    return Way("calc_test.go", GO, GO.replace(old, new, 1), kinds)


def rust(old: str, new: str, kinds: tuple[str, ...], path: str = "tests/sums.rs") -> Way:
    assert old in RUST
    return Way(path, RUST, RUST.replace(old, new, 1), kinds)


def jest(old: str, new: str, kinds: tuple[str, ...]) -> Way:
    assert old in JEST
    return Way("jest.config.js", JEST, JEST.replace(old, new, 1), kinds)


def package(old: str, new: str, kinds: tuple[str, ...]) -> Way:
    assert old in PACKAGE
    return Way("package.json", PACKAGE, PACKAGE.replace(old, new, 1), kinds, "npm test")


IT = "it('adds two numbers', () => {"
FN = "#[test]\nfn adds_two_numbers() {"
GOT = "func TestAdd(t *testing.T) {\n"
ADDED = "    expect(add(1, 2)).toBe(3)\n"

WAYS: dict[str, Way] = {
    # JavaScript: skipped
    "js xit": js(IT, "x" + IT, SKIP),
    "js xit with a space": js(IT, "xit ('adds two numbers', () => {", SKIP),
    "js it.skip": js(IT, IT.replace("it(", "it.skip("), SKIP),
    "js it.only elsewhere": js("test('adds nothing'", "test.only('adds nothing'", SKIP),
    "js fit": js("test('adds nothing'", "fit('adds nothing'", SKIP),
    "js describe.skip": js("describe(", "describe.skip(", SKIP),
    "js xdescribe": js("describe(", "xdescribe(", SKIP),
    "js it['skip']": js(IT, IT.replace("it(", "it['skip']("), SKIP),
    "js it.skipIf": js(IT, IT.replace("it(", "it.skipIf(true)("), SKIP),
    "js it.runIf": js(IT, IT.replace("it(", "it.runIf(false)("), SKIP),
    "js it.concurrent.skip": js(IT, IT.replace("it(", "it.concurrent.skip("), SKIP),
    "js it.fails": js(IT, IT.replace("it(", "it.fails("), SKIP),
    "js it.skip on two lines": js(IT, IT.replace("it(", "it\n    .skip("), SKIP),
    "js test.each of nothing": js(IT, "it.each([])('adds two numbers', () => {", (*SKIP, *WEAK)),
    "js option skip": js(IT, "it('adds two numbers', { skip: true }, () => {", SKIP),
    "js option todo": js(IT, "it('adds two numbers', { todo: 'later' }, () => {", SKIP),
    "js this.skip": js(ADDED, "    this.skip()\n" + ADDED, SKIP),
    "js t.skip of node": js(ADDED, "    t.skip()\n" + ADDED, SKIP),
    "js pending of jasmine": js(ADDED, "    pending()\n" + ADDED, SKIP),
    "js an alias that skips": js("describe('sums'", "const it = test.skip\ndescribe('sums'", SKIP),
    "js return first": js(ADDED, "    return\n" + ADDED, EMPTY),
    "js commented out": js(ADDED, "    // expect(add(1, 2)).toBe(3)\n", WEAK),
    "js block comment": js(ADDED, "    /* expect(add(1, 2)).toBe(3) */\n", WEAK),
    "js block comment over lines": js(
        "  it('adds two numbers', () => {\n" + ADDED + "  })\n",
        "  /*\n  it('adds two numbers', () => {\n" + ADDED + "  })\n  */\n",
        (*WEAK, "test deleted"),
    ),
    "js if false": js(ADDED, "    if (false)\n" + ADDED, EMPTY),
    "js caught": js(ADDED, "    try {\n" + ADDED + "    } catch {}\n", EMPTY),
    "js not called": js("toBe(3)", "toBe", WEAK),
    "js always true": js("expect(add(1, 2)).toBe(3)", "expect(true).toBe(true)", EMPTY),
    "js compared with itself": js("expect(add(1, 2)).toBe(3)", "expect(3).toBe(3)", EMPTY),
    "js only defined": js("toBe(3)", "toBeDefined()", WEAK),
    "js only truthy": js("toBe(3)", "toBeTruthy()", WEAK),
    "js anything": js("toBe(3)", "toEqual(expect.anything())", WEAK),
    "js assertion gone": js(ADDED, "    add(1, 2)\n", WEAK),
    "js the tested is mocked": js(
        "import { add } from './add'\n",
        "import { add } from './add'\nvi.mock('./add', () => ({ add: () => 3 }))\n",
        ("test weakened",),
    ),
    "js expect replaced": js(
        "import { add } from './add'\n",
        "import { add } from './add'\nglobalThis.expect = () => ({ toBe() {} })\n",
        ("outcome changed",),
    ),
    "js process.exit": js("describe('sums'", "process.exit(0)\ndescribe('sums'", ("check left",)),
    "js exitCode": js("describe('sums'", "process.exitCode = 0\ndescribe('sums'", ("check left",)),
    "js retried": js("describe('sums'", "jest.retryTimes(20)\ndescribe('sums'", ("test weakened",)),
    "js file renamed out of the pattern": Way("src/add.test.js", JS, None, ("test deleted",)),
    # JavaScript: settings
    "jest threshold lowered": jest("lines: 90", "lines: 10", LOW),
    "jest threshold gone": jest("  coverageThreshold: { global: { branches: 90, lines: 90 } },\n", "", LOW),
    "jest ignores tests": jest("testMatch:", "testPathIgnorePatterns: ['add'],\n  testMatch:", CHECK),
    "jest matches others": jest("**/*.test.js", "**/*.other.js", CHECK),
    "jest passes with none": jest("testEnvironment", "passWithNoTests: true,\n  testEnvironment", CHECK),
    "jest bail": jest("testEnvironment", "testNamePattern: 'nothing',\n  testEnvironment", CHECK),
    "jest setup": jest(
        "testEnvironment", "setupFiles: ['./quiet.js'],\n  testEnvironment", ("check disabled", "setup edited")
    ),
    "vitest excludes": Way(
        "vitest.config.ts", VITEST, VITEST.replace("test: {", "test: { exclude: ['src/add.test.js'],"), CHECK
    ),
    "vitest threshold": Way("vitest.config.ts", VITEST, VITEST.replace("90", "9"), LOW),
    "vitest passes with none": Way(
        "vitest.config.ts", VITEST, VITEST.replace("test: {", "test: { passWithNoTests: true,"), CHECK
    ),
    "package threshold": package('"lines": 90', '"lines": 1', LOW),
    "package ignores": package('"testMatch"', '"testPathIgnorePatterns": ["add"], "testMatch"', CHECK),
    "package test script": package('"test": "jest"', '"test": "jest || true"', ("check edited", "check disabled")),
    "package warnings": package("--max-warnings 0", "--max-warnings 99", LOW),
    "a new jest config": Way("jest.config.ts", "", "export default {testMatch: []}\n", CHECK),
    "a new mocharc": Way(".mocharc.json", "", '{"grep": "nothing"}\n', CHECK),
    "a new babel config": Way(
        "babel.config.js", "", "module.exports = {plugins: ['./drop-expect.js']}\n", ("setup edited", "check disabled")
    ),
    "a jest mock of the module": Way("src/__mocks__/add.js", "", "exports.add = () => 3\n", ("setup edited",)),
    # Go
    "go t.Skip": go(GOT, GOT + '\tt.Skip("later")\n', SKIP),
    "go t.SkipNow": go(GOT, GOT + "\tt.SkipNow()\n", SKIP),
    "go skip in a helper": go("\tt.Helper()\n", "\tt.Helper()\n\tt.SkipNow()\n", SKIP),
    "go skip by another name": go(GOT, "func TestAdd(tt *testing.T) {\n\ttt.SkipNow()\n", SKIP),
    "go skip as a value": go(GOT, GOT + "\tskip := t.SkipNow\n\tskip()\n", SKIP),
    "go testing.Short": go(GOT, GOT + "\tif testing.Short() {\n\t\treturn\n\t}\n", SKIP),
    "go runtime.Goexit": go(GOT, GOT + "\truntime.Goexit()\n", ("test skipped", "check left", "test emptied")),
    "go return": go(GOT, GOT + "\treturn\n", EMPTY),
    "go build tag": Way("calc_test.go", GO, "//go:build never\n\n" + GO, SKIP),
    "go old build tag": Way("calc_test.go", GO, "// +build never\n\n" + GO, SKIP),
    "go build ignore": Way("calc_test.go", GO, "//go:build ignore\n\n" + GO, (*SKIP, "rules loosened")),
    "go renamed to no test": go("func TestAdd(", "func testAdd(", ("test deleted",)),
    "go TestMain": go(
        "func helper(",
        "func TestMain(m *testing.M) { m.Run(); os.Exit(0) }\n\nfunc helper(",
        ("check left", "outcome changed"),
    ),
    "go TestMain that runs nothing": go(
        "func helper(", "func TestMain(m *testing.M) {}\n\nfunc helper(", ("outcome changed",)
    ),
    "go recover": go(GOT, GOT + "\tdefer func() { recover() }()\n", EMPTY),
    "go always true": go("assert.Equal(t, 3, Add(1, 2))", "assert.True(t, true)", EMPTY),
    "go compared with itself": go("assert.Equal(t, 3, Add(1, 2))", "assert.Equal(t, 3, 3)", EMPTY),
    "go only not nil": go("assert.Equal(t, 3, Add(1, 2))", "assert.NotNil(t, Add(1, 2))", WEAK),
    "go assert with another t": go("assert.Equal(t, 3, Add(1, 2))", "assert.Equal(&testing.T{}, 3, Add(1, 2))", EMPTY),
    "go log in place of fatal": go('t.Fatalf("got', 't.Logf("got', WEAK),
    "go fatal gone": go('\t\tt.Fatalf("got %d", got)\n', "", WEAK),
    "go if false": go("if got := Add(1, 0); got != 1 {", "if got := Add(1, 0); false && got != 1 {", EMPTY),
    "go commented out": go("\tassert.Equal", "\t// assert.Equal", WEAK),
    "go file renamed": Way("calc_test.go", GO, None, ("test deleted",)),
    # Rust
    "rust ignore": rust("#[test]", "#[test]\n#[ignore]", SKIP),
    "rust ignore with a reason": rust("#[test]", '#[test]\n#[ignore = "later"]', SKIP),
    "rust ignore in one attribute": rust("#[test]", "#[cfg_attr(all(), ignore)]\n#[test]", SKIP),
    "rust cfg any": rust("#[test]", "#[cfg(any())]\n#[test]", SKIP),
    "rust cfg feature": rust("#[test]", '#[cfg(feature = "slow")]\n#[test]', SKIP),
    "rust cfg not test": rust("#[test]", "#[cfg(not(test))]\n#[test]", SKIP),
    "rust cfg of the file": rust("use calc::add;", "#![cfg(any())]\nuse calc::add;", SKIP),
    "rust mark gone": rust(FN, "fn adds_two_numbers() {", ("test deleted",)),
    "rust should panic": rust("#[test]", "#[test]\n#[should_panic]", SKIP),
    "rust return": rust("{\n    assert", "{\n    return;\n    assert", EMPTY),
    "rust always true": rust("assert_eq!(add(1, 2), 3)", "assert!(true)", EMPTY),
    "rust compared with itself": rust("assert_eq!(add(1, 2), 3)", "assert_eq!(3, 3)", EMPTY),
    "rust debug_assert": rust("assert_eq!", "debug_assert_eq!", WEAK),
    "rust not equal": rust("assert_eq!(add(1, 2), 3)", "assert_ne!(add(1, 2), 4)", WEAK),
    "rust caught": rust(
        "    assert_eq!(add(1, 2), 3);", "    let _ = std::panic::catch_unwind(|| assert_eq!(add(1, 2), 3));", EMPTY
    ),
    "rust commented out": rust("    assert_eq!(add(1, 2)", "    // assert_eq!(add(1, 2)", WEAK),
    "rust module commented out": Way("src/lib.rs", "#[cfg(test)]\nmod tests;\n", "// mod tests;\n", SKIP),
    "rust module by another cfg": Way(
        "src/lib.rs", "#[cfg(test)]\nmod tests;\n", "#[cfg(all(test, any()))]\nmod tests;\n", SKIP
    ),
    "rust exit": rust("{\n    assert", "{\n    std::process::exit(0);\n    assert", ("check left",)),
    "cargo test = false": Way(
        "Cargo.toml", CARGO, CARGO.replace('path = "src/lib.rs"', 'path = "src/lib.rs"\ntest = false'), CHECK
    ),
    "cargo harness = false": Way("Cargo.toml", CARGO, CARGO + "harness = false\n", CHECK),
    "cargo autotests": Way("Cargo.toml", CARGO, CARGO.replace("version", "autotests = false\nversion"), CHECK),
    "cargo target gone": Way("Cargo.toml", CARGO, CARGO[: CARGO.index("[[test]]")], CHECK),
    "cargo config runner": Way(".cargo/config.toml", "", '[target.x86_64-unknown-linux-gnu]\nrunner = "true"\n', CHECK),
    "cargo alias": Way(".cargo/config.toml", "", '[alias]\ntest = "build"\n', CHECK),
}
"""Each by what it does."""

HONEST: dict[str, Way] = {
    "js a new test": js(
        "  test('adds nothing'",
        "  it('adds more', () => {\n    expect(add(2, 2)).toBe(4)\n  })\n\n  test('adds nothing'",
        (),
    ),
    "js an early return in a new helper": js(
        "describe('sums'",
        "function odd(n) {\n  if (n % 2) {\n    return true\n  }\n  return false\n}\n\ndescribe('sums'",
        (),
    ),
    "js another expectation": js("toBe(3)", "toBe(4)", ()),
    "go a new table test": go(
        "func helper(",
        "func TestMany(t *testing.T) {\n\tfor _, c := range cases {\n\t\thelper(t, Add(c.a, c.b), c.want)\n\t}\n}\n\nfunc helper(",
        (),
    ),
    "go a helper that returns": go(
        "func helper(",
        "func odd(n int) bool {\n\tif n%2 == 1 {\n\t\treturn true\n\t}\n\treturn false\n}\n\nfunc helper(",
        (),
    ),
    "js a new test that waits": js(
        "  test('adds nothing'",
        "  it.skip('divides', () => {\n    expect(div(2, 2)).toBe(1)\n  })\n\n  test('adds nothing'",
        (),
    ),
    "js a word on a skip": js(
        "describe('sums'", "// it.skip('adds two numbers') would be wrong here\ndescribe('sums'", ()
    ),
    "go a new test that skips itself": go(
        "func helper(",
        'func TestNet(t *testing.T) {\n\tif testing.Short() {\n\t\tt.Skip("slow")\n\t}\n\thelper(t, 1, 1)\n}\n\nfunc helper(',
        (),
    ),
    "go TestMain that looks for leaks": go(
        "func helper(",
        "func TestMain(m *testing.M) {\n\tgoleak.VerifyTestMain(m)\n\tos.Exit(m.Run())\n}\n\nfunc helper(",
        (),
    ),
    "rust a new test that is slow": rust(
        "#[test]\nfn adds_nothing",
        '#[test]\n#[ignore = "slow"]\nfn adds_much() {\n    assert_eq!(add(2, 2), 4);\n}\n\n#[test]\nfn adds_nothing',
        (),
    ),
    "rust a test that moved": rust(
        RUST,
        RUST[: RUST.index("#[test]")]
        + RUST[RUST.rindex("#[test]") :]
        + "\n"
        + RUST[RUST.index("#[test]") : RUST.rindex("#[test]")],
        (),
    ),
    "rust a new test": rust(
        "#[test]\nfn adds_nothing",
        "#[test]\nfn adds_more() {\n    assert_eq!(add(2, 2), 4);\n}\n\n#[test]\nfn adds_nothing",
        (),
    ),
    "rust a module of tests": Way(
        "src/lib.rs",
        "pub fn add() {}\n",
        "pub fn add() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::add(), ());\n    }\n}\n",
        (),
    ),
    "rust a platform": Way(
        "src/lib.rs", "pub fn add() {}\n", "pub fn add() {}\n\n#[cfg(unix)]\npub fn more() {}\n", ()
    ),
    "cargo a dependency": Way("Cargo.toml", CARGO, CARGO + '\n[dependencies]\nserde = "1"\n', ()),
    "jest a higher threshold": jest("lines: 90", "lines: 95", ()),
    "package a dependency": package('"name": "sums",', '"name": "sums", "dependencies": {"left-pad": "1"},', ()),
}
"""What people do every day: nothing of it stands in the way."""
