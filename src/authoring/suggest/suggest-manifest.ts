import type { Observation } from '../../plugin-host/sandbox/sightings.ts';
import { guessCapabilities } from './guess-capabilities.ts';
import { suggestLimits } from './suggest-limits.ts';
import { suggestNetwork } from './suggest-network.ts';
import { suggestPlaces } from './suggest-places.ts';
import { suggestUser } from './suggest-user.ts';
import type { Note, ObservedRun, Suggestion } from './suggestion.ts';

/** The least with which a plugin could have done what it did; what it did not do is not in it. */
export async function suggestManifest(observation: Observation, run: ObservedRun): Promise<Suggestion> {
  const { sightings, peaks } = observation;
  const { readable, writable, devices, notes } = await suggestPlaces(observation, run);
  const { network, notes: networkNotes } = suggestNetwork(sightings);
  const { user, notes: userNotes } = await suggestUser(sightings, writable);
  const { capabilities, notes: capabilityNotes } = guessCapabilities(sightings);
  const processes = sightings.flatMap((sighting) => (sighting.what === 'processes' ? [sighting.path] : []));
  const allProcesses = processes.length > 0;
  const seen: readonly Note[] = allProcesses
    ? [
        {
          about: 'allProcesses',
          message: `it looked at processes of others: ${processes.slice(0, MAX_NAMED).join(', ')}`,
        },
      ]
    : [];
  return {
    manifest: { user, readable, writable, devices, network, capabilities, allProcesses },
    limits: suggestLimits(peaks),
    notes: [...userNotes, ...notes, ...networkNotes, ...capabilityNotes, ...seen, ...notesOnObservation(observation)],
  };
}

function notesOnObservation({ sightings, isComplete }: Observation): readonly Note[] {
  const unseen = sightings.flatMap((sighting) => (sighting.what === 'unseen' ? [sighting.name] : []));
  const messages = [
    ...(isComplete ? [] : ['it did more than is written down: the suggestion is not all that it needs']),
    ...(unseen.length === 0 ? [] : [`what these calls were about could not be seen: ${unseen.join(', ')}`]),
  ];
  return messages.map((message): Note => ({ about: 'observation', message }));
}

const MAX_NAMED = 5;
