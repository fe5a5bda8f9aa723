/** Suites by folder: unit and contract need nothing but Node; integration needs the engines; e2e the workflow engine too. */
export default {
  testEnvironment: 'node',
  // Of two processors Jest would leave one idle.
  maxWorkers: '100%',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  setupFiles: ['<rootDir>/__tests__/worker-user.ts'],
  testMatch: ['<rootDir>/__tests__/{unit,contract,integration,e2e}/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/tmp/', '<rootDir>/dist/'],
};
