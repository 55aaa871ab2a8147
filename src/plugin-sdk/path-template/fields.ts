import type { Body, Operand, Pipeline } from './parse.ts';

/** The names that a template takes from what it is given; what is below a `with` is not looked at, there `.` is something else. */
export function fieldsOf(body: Body): readonly string[] {
  return namesIn(body, true);
}

function namesIn(body: Body, dotIsRoot: boolean): readonly string[] {
  return body.flatMap((node) => {
    if (node.kind === 'text') return [];
    const own = namesInPipeline(node.pipeline, dotIsRoot);
    if (node.kind === 'output') return own;
    const inThen = namesIn(node.then, dotIsRoot && node.kind !== 'with');
    return [...own, ...inThen, ...namesIn(node.otherwise, dotIsRoot)];
  });
}

function namesInPipeline(pipeline: Pipeline, dotIsRoot: boolean): readonly string[] {
  return pipeline.flatMap(({ operands }) => operands.flatMap((operand) => namesInOperand(operand, dotIsRoot)));
}

function namesInOperand(operand: Operand, dotIsRoot: boolean): readonly string[] {
  if (operand.kind === 'pipeline') return namesInPipeline(operand.pipeline, dotIsRoot);
  if (operand.kind === 'value' || (!operand.fromRoot && !dotIsRoot)) return [];
  return operand.names.slice(0, 1);
}
