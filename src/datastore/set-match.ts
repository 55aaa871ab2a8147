/**
 * How a row's set S compares with the asked set A: `exact` S = A, `subset` S ⊆ A and not empty, `superset` S ⊇ A, `any` S ∩ A not empty.
 */
export type SetMatch = 'exact' | 'subset' | 'superset' | 'any';
