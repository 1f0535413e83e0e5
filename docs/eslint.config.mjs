// What is asked of the pages' modules, mlfound/page/*.js: tests/test_page_modules.py runs it.
const browser = `Blob CustomEvent Event HTMLElement Image ImageData MutationObserver Option Path2D
  ResizeObserver addEventListener atob btoa cancelAnimationFrame clearInterval clearTimeout console
  devicePixelRatio document getComputedStyle innerHeight innerWidth location matchMedia parent
  performance requestAnimationFrame setInterval setTimeout window`.trim().split(/\s+/);

const mistakes = `array-callback-return constructor-super for-direction getter-return no-class-assign
  no-compare-neg-zero no-cond-assign no-const-assign no-constant-condition no-dupe-args
  no-dupe-else-if no-dupe-keys no-duplicate-case no-empty no-fallthrough
  no-func-assign no-import-assign no-invalid-regexp no-loss-of-precision no-redeclare
  no-self-assign no-self-compare no-shadow-restricted-names no-sparse-arrays no-this-before-super
  no-undef no-unreachable no-unsafe-finally no-unsafe-negation no-unused-expressions
  no-unused-vars no-use-before-define use-isnan valid-typeof`.trim().split(/\s+/);

// No text becomes code, in whatever disguise.
const unsafe = 'no-eval no-implied-eval no-new-func no-script-url'.split(' ');

const style = `no-extend-native no-implicit-globals no-throw-literal no-var object-shorthand
  prefer-const`.trim().split(/\s+/);

const own = {
  'array-callback-return': 'off',
  'no-use-before-define': ['error', { functions: false, classes: false, variables: false }],
  'no-unused-expressions': ['error', { allowShortCircuit: true, allowTernary: true }],
  'max-lines-per-function': ['error', { max: 40, skipBlankLines: true, skipComments: true }],
  'no-restricted-globals': ['error', 'fetch', 'XMLHttpRequest', 'WebSocket', 'localStorage',
    'sessionStorage', 'indexedDB', 'alert', 'open'],
  'no-restricted-syntax': ['error', 'ExportDefaultDeclaration', 'ExportAllDeclaration',
    'ImportExpression', 'ExportNamedDeclaration[source]'],
};
const all = [...mistakes, ...unsafe, ...style].map((name) => [name, 'error']);

export default [{
  files: ['**/*.js'],
  languageOptions: {
    ecmaVersion: 2024,
    sourceType: 'module',
    globals: Object.fromEntries(browser.map((name) => [name, 'readonly'])),
  },
  rules: { ...Object.fromEntries(all), ...own },
}];
