//! How nodes that are taken become partitions.

use std::collections::{HashSet, VecDeque};

use quantizer::error::Result;
use quantizer::graph::{View, used_names};
use quantizer::order;
use quantizer::proto::GraphProto;

/// Groups the nodes that are `taken` as ONNX Runtime does: it goes through the graph in the order in which nodes can run and
/// gathers what is taken into one group, however little of it hangs together, for as long as no node that is left has to run
/// between. A node that is left and reads from the group waits until the group is closed, and so does all behind it. So no
/// partition waits for another one that waits for it.
///
/// The groups are in the order in which they are closed, the nodes of each in the order in which they were gathered.
///
/// # Errors
/// [`Graph`](quantizer::ErrorKind::Graph) for a graph with a cycle, in which nodes would wait forever.
pub fn partition(graph: &GraphProto, taken: &[bool]) -> Result<Vec<Vec<usize>>> {
    order::order(graph)?;
    let view = View::new(graph);
    let mut readers = vec![Vec::new(); graph.node.len()];
    let mut waits_for = vec![0_usize; graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        let makers: HashSet<usize> =
            used_names(node).into_iter().filter_map(|name| view.producer_index(name)).collect();
        waits_for[index] = makers.len();
        for maker in makers {
            readers[maker].push(index);
        }
    }
    let mut ready: VecDeque<usize> = (0..graph.node.len()).filter(|&index| waits_for[index] == 0).collect();
    let mut behind_the_group = VecDeque::new();
    let (mut groups, mut group) = (Vec::new(), Vec::new());
    // Whoever reads from the group.
    let mut border: HashSet<usize> = HashSet::new();
    loop {
        let Some(index) = ready.pop_front() else {
            if !group.is_empty() {
                groups.push(std::mem::take(&mut group));
                border.clear();
            }
            if behind_the_group.is_empty() {
                return Ok(groups);
            }
            std::mem::swap(&mut ready, &mut behind_the_group);
            continue;
        };
        if taken[index] {
            group.push(index);
            border.extend(&readers[index]);
        } else if border.contains(&index) {
            behind_the_group.push_back(index);
            continue;
        }
        for &reader in &readers[index] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push_back(reader);
            }
        }
    }
}
