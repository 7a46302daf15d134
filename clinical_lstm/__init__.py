"""Early warning from clinical time series: complication onset hours ahead, calibrated and explained.

Irregular vitals and labs in, a calibrated risk of each complication hours ahead out, with an explanation a clinician
can check, and every step recorded:

    raw files -sources-> stays + observations -complications-> episodes -task-> labels
       observations -tensors-> Batch -model-> predictions -metrics-> scores ---\\
                                 \\--explainer-> attributions -----------------report-> page

Imports go down only; parts of the same level never import each other (a test holds them to it):

    0  errors        the one exception a user is meant to see
       variables     the clinical vocabulary: units, plausible and normal ranges, conversions
       schemas       the contract of every table on disk
       batch         the tensor contract: Ragged stays -> one padded Batch, the scaler
       artifacts     cohort and run directories: atomic writes, hashes, done-markers
       plugins       the loader: a file's name is the plug-in's name
       features/     engineered inputs, computed inside a model and for trees alike: windows, counts, ratios ...
    1  sources/      a data set: raw files -> stays, observations (PhysioNet, MIMIC-IV, MEDS, YAIB, a hospital's tables)
       scores/       bedside scores by the hour: SOFA, NEWS2, qSOFA, SIRS
       models/       one nn.Module per file
       lookback      what a prediction sees: the whole stay until now, or a window of it
    2  complications/  what happened and when
       metrics/      pure functions: discrimination, calibration, alarms, utility, decision curve, survival, DeLong
       calibration   logits -> risks strictly inside (0, 1)
       baselines/    elapsed time, last value, NEWS2, SOFA, qSOFA, logistic regression, gradient boosting
       explainers/   integrated and expected gradients with a completeness guarantee (captum), occlusion, gates ...
    3  data/         prepare: cleaning, task, labels, splits, scaling, tensors; inspection; one stay's timeline
       interchange   labels and predictions in the MEDS schemas
       inference     a run directory -> risks, the same bits in any company
    4  training/     Lightning: cohort -> run directory; also trains the baselines, blends, ensembles
       evaluation/   predictions -> scores, subgroups, differences with patient-clustered intervals; how alarms ring
       transport/    another hospital, another year: what differs, what local patients repair
       explanation/  which predictions, attributions as tables, drivers of the cohort, errors, trust checks
       prediction    new stays -> predictions and alarms
       streaming/    live streams -> risks and alarms, step by step; restart from saved state
       reporting/    the page, pages of single stays, the model card (Altair, Jinja2)
    5  pipelines     the command line, Hydra and MLflow (beside this package)

Nothing heavy is imported before it is needed: `prepare` and `report` never load torch.

>>> from clinical_lstm.variables import vocabulary
>>> vocabulary()["lactate"].label
'Lactate'
"""

__version__ = "0.2.0"
