import type { z } from 'zod';

/** What a zod schema expects to be given, seen through defaults, optionals and transforms. */
export type InputShape =
  | { readonly kind: 'object'; readonly shape: Readonly<Record<string, z.core.$ZodType>> }
  | { readonly kind: 'record'; readonly value: z.core.$ZodType }
  | { readonly kind: 'list'; readonly element: z.core.$ZodType }
  | { readonly kind: 'string' | 'number' | 'boolean' | 'any' };

export function inputShapeOf(schema: z.core.$ZodType): InputShape {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'readonly':
    case 'catch':
      return inputShapeOf(def.innerType);
    case 'pipe':
      return inputShapeOf((def.in as z.core.$ZodTypes)._zod.def.type === 'transform' ? def.out : def.in);
    case 'object':
      return { kind: 'object', shape: def.shape };
    case 'record':
      return { kind: 'record', value: def.valueType };
    case 'array':
      return { kind: 'list', element: def.element };
    case 'string':
    case 'number':
    case 'boolean':
      return { kind: def.type };
    case 'enum':
      return { kind: 'string' };
    default:
      return { kind: 'any' };
  }
}

/** The keys that the object at `path` below `schema` may have; empty where it is none. */
export function knownKeysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  let at = inputShapeOf(schema);
  for (const step of path) {
    const key = String(step);
    const own = at.kind === 'object' && Object.hasOwn(at.shape, key) ? at.shape[key] : undefined;
    const next = at.kind === 'record' ? at.value : own;
    const inside = next ?? (at.kind === 'list' ? at.element : undefined);
    if (inside === undefined) return [];
    at = inputShapeOf(inside);
  }
  return at.kind === 'object' ? Object.keys(at.shape) : [];
}
