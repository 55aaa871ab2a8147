/** What others import from the package, as `exports` in package.json says: the bundle's name, and where it begins. */
export const libraries = { 'plugin-sdk': 'src/plugin-sdk/index.ts', testing: 'src/testing/index.ts' };
